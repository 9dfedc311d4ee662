// Package house holds the rules of this repository as tests: which package may know which, that each says what it
// is for and is tested, that generated files are fresh, that files stay short enough to read.
package house
