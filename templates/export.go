package templates

import "github.com/a-h/templ"

// Layout is the document around every page, for pages of other packages: its children are the body.
func Layout(page Page, bundle string) templ.Component { return layout(page, bundle, false) }

// Mark is Amphi's mark.
func Mark() templ.Component { return mark() }

// Icon draws a symbol of static/icons/sprite.svg.
func Icon(page Page, name string) templ.Component { return icon(page, name) }
