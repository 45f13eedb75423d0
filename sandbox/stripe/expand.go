package stripesandbox

import (
	"slices"
	"strconv"
	"strings"
)

const expandDepthMax = 4

// expand returns the object as it is sent: ids replaced by their objects where
// a path of the expand parameter says so.
func (t *tx) expand(o object, paths []string) (object, error) {
	shown := present(o)
	for i, path := range paths {
		keys := strings.Split(path, ".")
		depth := len(keys)
		if keys[0] == "data" {
			depth--
		}
		if depth > expandDepthMax {
			return nil, invalid("", "expand["+strconv.Itoa(i)+"]", "You cannot expand more than %d levels of a property. Property: %s", expandDepthMax, path)
		}
		if err := t.expandPath(shown, o, keys, path); err != nil {
			return nil, err
		}
	}
	return shown, nil
}

// expandPath expands keys in shown, which is what is sent of full.
func (t *tx) expandPath(shown, full object, keys []string, path string) error {
	key := keys[0]
	value, ok := shown[key]
	if !ok && slices.Contains(includable[full.kind()], key) {
		value = presentValue(full[key])
		shown[key] = value
		ok = true
	}
	if !ok {
		return invalid("", "expand", "This property cannot be expanded (%s).", path)
	}
	switch v := value.(type) {
	case nil:
		return nil
	case string:
		target, err := t.find(v)
		if err != nil {
			return err
		}
		if target == nil {
			return invalid("", "expand", "This property cannot be expanded (%s).", path)
		}
		inner := present(target)
		shown[key] = inner
		if len(keys) > 1 {
			return t.expandPath(inner, target, keys[1:], path)
		}
	case object:
		return t.expandInside(v, full.sub(key), keys, path)
	case map[string]any:
		return t.expandInside(v, full.sub(key), keys, path)
	case []any:
		return t.expandEach(shown, full, keys, path)
	default:
		return invalid("", "expand", "This property cannot be expanded (%s).", path)
	}
	return nil
}

func (t *tx) expandInside(shown, full object, keys []string, path string) error {
	if len(keys) == 1 {
		return nil // already there in full
	}
	if full == nil || full.id() != shown.id() {
		// shown was put in by an earlier path: its own object is the full one.
		found, err := t.find(shown.id())
		if err != nil {
			return err
		}
		full = found
	}
	return t.expandPath(shown, full, keys[1:], path)
}

// expandEach goes on in every element of an array.
func (t *tx) expandEach(shown, full object, keys []string, path string) error {
	whole := full.items(keys[0])
	for i, e := range shown[keys[0]].([]any) {
		element, ok := e.(map[string]any)
		if !ok {
			if o, isObject := e.(object); isObject {
				element, ok = o, true
			}
		}
		if !ok || i >= len(whole) {
			return invalid("", "expand", "This property cannot be expanded (%s).", path)
		}
		if len(keys) > 1 {
			if err := t.expandPath(element, whole[i], keys[1:], path); err != nil {
				return err
			}
		}
	}
	return nil
}
