package dash

import (
	"cmp"
	"strconv"

	"github.com/a-h/templ"
)

// stateOf are the attributes that tell browsers and screen readers how a field stands. The first field of a page with
// autofocus gets the focus: that of the first problem.
func stateOf(form Form, name, hint string, focus bool) templ.Attributes {
	attributes := templ.Attributes{}
	if ids := described(form, name, hint); ids != "" {
		attributes["aria-describedby"] = ids
	}
	wrong := form.Problems[name] != ""
	if wrong {
		attributes["aria-invalid"] = "true"
	}
	if wrong || focus && form.Good() {
		attributes["autofocus"] = true
	}
	return attributes
}

func (in Input) kind() string { return cmp.Or(in.Type, "text") }

func (in Input) attributes(form Form) templ.Attributes {
	attributes := stateOf(form, in.Name, in.Hint, in.Focus)
	attributes["autocomplete"] = cmp.Or(in.Autocomplete, "off")
	for name, value := range map[string]string{
		"placeholder": in.Placeholder, "inputmode": in.InputMode, "min": in.Min, "max": in.Most, "step": in.Step,
	} {
		if value != "" {
			attributes[name] = value
		}
	}
	if in.Max > 0 {
		attributes["maxlength"] = strconv.Itoa(in.Max)
	}
	if in.Required {
		attributes["required"] = true
	}
	if in.ReadOnly {
		attributes["readonly"] = true
	}
	if in.Type == "email" || in.Type == "url" || in.Autocomplete == "username" {
		attributes["autocapitalize"], attributes["spellcheck"] = "none", "false"
	}
	return attributes
}
