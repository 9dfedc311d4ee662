// Package sitter draws people who are not there: they sit for pictures that show how a live stream would look.
package sitter
