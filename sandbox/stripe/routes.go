package stripesandbox

import (
	"net/http"
)

// route is one address of the API.
type route struct {
	method, path string
	params       string // names of the accepted parameters
	run          operation
	raw          func(t *tx, in *params) (contentType string, body []byte, err error) // instead of run
}

// apiRoutes is the whole of the API that is emulated.
func apiRoutes() []route {
	var all []route
	for _, group := range [][]route{
		accountRoutes(), customerRoutes(), productRoutes(), priceRoutes(), paymentMethodRoutes(),
		setupIntentRoutes(), paymentIntentRoutes(), chargeRoutes(), refundRoutes(), disputeRoutes(),
		quoteRoutes(), invoiceRoutes(), invoiceItemRoutes(), creditNoteRoutes(), subscriptionRoutes(), checkoutRoutes(),
		portalRoutes(), movementRoutes(), eventRoutes(), webhookEndpointRoutes(),
	} {
		all = append(all, group...)
	}
	return all
}

// routes puts the API, the pages and the control endpoints together.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for _, r := range apiRoutes() {
		mux.HandleFunc(r.method+" "+r.path, s.api(r))
	}
	// Longer patterns win, so this sees only what no route above took.
	mux.HandleFunc("/v1/", s.unrecognized)
	s.pageRoutes(mux)
	s.controlRoutes(mux)
	return mux
}

// listParams are accepted by every list.
const listParams = "limit starting_after ending_before created"

// retrieve serves a single object by its id.
func retrieve(path, kind string) route {
	return route{method: http.MethodGet, path: path + "/{id}", run: func(t *tx, in *params) (object, error) {
		return t.get(kind, in.path("id"))
	}}
}

// listField is a filter of a list: a parameter and the field it compares.
type listField struct {
	param, field string
	flag         bool // the parameter is a boolean
}

// index serves the list of a kind of objects, newest first.
func index(path, kind string, fields ...listField) route {
	names := listParams
	for _, f := range fields {
		names += " " + f.param
	}
	return route{method: http.MethodGet, path: path, params: names, run: func(t *tx, in *params) (object, error) {
		l := readPage(in)
		l.kind = kind
		for _, f := range fields {
			switch {
			case !in.filled(f.param):
			case f.flag:
				l.filters = append(l.filters, filter{f.field, "=", in.flag(f.param, false)})
			default:
				l.filters = append(l.filters, filter{f.field, "=", in.str(f.param)})
			}
		}
		return t.page(in, path, l)
	}}
}

// page answers a list request.
func (t *tx) page(in *params, url string, l listing) (object, error) {
	if err := in.err(); err != nil {
		return nil, err
	}
	data, more, err := t.list(l)
	if err != nil {
		return nil, err
	}
	return object{"object": "list", "url": url, "has_more": more, "data": data}, nil
}

const (
	pageDefault = 10
	pageMax     = 100
)

// readPage reads the parameters every list has.
func readPage(in *params) listing {
	l := listing{limit: pageDefault, after: in.str("starting_after"), before: in.str("ending_before")}
	if in.filled("limit") {
		l.limit = int(in.num("limit", 1, pageMax))
	}
	if l.after != "" && l.before != "" {
		in.refuse(invalid("parameters_exclusive", "starting_after", "You may only specify one of these parameters: starting_after, ending_before."))
	}
	if exact, ok := in.values["created"].(string); ok && exact != "" {
		l.filters = append(l.filters, filter{"created", "=", in.num("created", 0, 1<<40)})
		return l
	}
	created := in.part("created")
	for _, bound := range []struct{ name, op string }{{"gt", ">"}, {"gte", ">="}, {"lt", "<"}, {"lte", "<="}} {
		if created.filled(bound.name) {
			l.filters = append(l.filters, filter{"created", bound.op, created.num(bound.name, 0, 1<<40)})
		}
	}
	return l
}

// pageOf pages through elements that stand inside an object.
func pageOf(in *params, kind, url string, data []object) (object, error) {
	l := readPage(in)
	if err := in.err(); err != nil {
		return nil, err
	}
	from, to := 0, len(data)
	for _, cursor := range []struct{ id, param string }{{l.after, "starting_after"}, {l.before, "ending_before"}} {
		if cursor.id == "" {
			continue
		}
		at := indexOf(data, cursor.id)
		if at < 0 {
			return nil, missing(kind, cursor.id, cursor.param)
		}
		if cursor.param == "starting_after" {
			from = at + 1
		} else {
			to = at
		}
	}
	more := to-from > l.limit
	if more && l.before != "" {
		from = to - l.limit
	} else if more {
		to = from + l.limit
	}
	return object{"object": "list", "url": url, "has_more": more, "data": data[from:to]}, nil
}

func indexOf(data []object, id string) int {
	for i, o := range data {
		if o.id() == id {
			return i
		}
	}
	return -1
}

// unrecognized answers addresses that are not emulated.
func (s *Server) unrecognized(w http.ResponseWriter, r *http.Request) {
	e := invalid("", "", "Unrecognized request URL (%s: %s). This sandbox emulates a part of the API; see its README.", r.Method, r.URL.Path)
	e.status = http.StatusNotFound
	s.send(w, s.errorReply("req_unrecognized", e))
}
