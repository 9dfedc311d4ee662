// Package meeting has thirty people of the Go client meet on a server of its own and do everything that people do, at
// random from a seed, while their networks come and go. Now and then all hold still, and what each of them sees is
// compared with what the server says; memory and goroutines must not grow. Another meeting is of people who only come and
// go, in every way there is; nothing may be left of them.
//
// The short forms run with all other tests; go tool task soak:meeting takes half an hour, soak:churn twenty minutes.
package meeting
