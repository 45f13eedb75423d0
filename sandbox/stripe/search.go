package stripesandbox

import (
	"net/http"
	"strings"
)

// search serves /search for a kind of objects: clauses such as
// metadata['key']:'value' or customer:'cus_…', joined by AND.
func search(path, kind string) route {
	url := path + "/search"
	return route{method: http.MethodGet, path: url, params: "query limit page", run: func(t *tx, in *params) (object, error) {
		in.need("query")
		l := listing{kind: kind, limit: pageDefault, after: in.str("page")}
		if in.filled("limit") {
			l.limit = int(in.num("limit", 1, pageMax))
		}
		for _, clause := range strings.Split(in.str("query"), " AND ") {
			f, ok := searchClause(clause)
			if !ok {
				in.refuse(invalid("", "query", "We were unable to parse your search query. This sandbox knows metadata['key']:'value', customer, status and currency, joined by AND."))
			}
			l.filters = append(l.filters, f)
		}
		out, err := t.page(in, url, l)
		if err != nil {
			return nil, err
		}
		out["object"], out["next_page"] = "search_result", nil
		if data := out.items("data"); out.flag("has_more") {
			out["next_page"] = data[len(data)-1].id()
		}
		return out, nil
	}}
}

func searchClause(clause string) (filter, bool) {
	field, value, ok := strings.Cut(strings.TrimSpace(clause), ":")
	value = strings.TrimSpace(value)
	if !ok || len(value) < 2 || value[0] != value[len(value)-1] || (value[0] != '\'' && value[0] != '"') {
		return filter{}, false
	}
	value = value[1 : len(value)-1]
	if key, isMetadata := strings.CutPrefix(field, "metadata["); isMetadata {
		key = strings.Trim(key, `'"]`)
		// The key becomes a part of the statement: letters, digits, - and _ only.
		if key == "" || strings.Trim(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" {
			return filter{}, false
		}
		return filter{`metadata."` + key + `"`, "=", value}, true
	}
	switch field {
	case "customer", "status", "currency":
		return filter{field, "=", value}, true
	}
	return filter{}, false
}
