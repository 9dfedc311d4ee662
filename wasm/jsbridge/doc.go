// Package jsbridge carries values, promises and errors between Go and the
// JavaScript that Go was started from.
//
// Three things end a Go program in a page for good: a panic that nobody
// recovers, a JavaScript exception inside js.Value.Call, and blocking inside a
// js.Func. So everything that crosses goes through here: [Call] turns
// exceptions into errors, [Func] and [Go] recover at the root and report, and
// nothing here blocks but [Await] and [Fetch], which are for goroutines.
//
// The package is empty on other platforms.
package jsbridge
