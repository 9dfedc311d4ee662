// Package pages holds what people see against what they need: the site and the meeting's pages in each of their states, in
// light and dark, on a desk and on a phone, by axe-core's rules; a whole call by the keyboard alone; and, when asked with
// -figures, how soon a page can be used and what twenty-five pictures cost it.
//
// With -looks DIR the same walk leaves a picture of each state there.
package pages
