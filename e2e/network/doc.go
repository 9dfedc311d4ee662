// Package network gives the end-to-end tests bad networks: hosts that see nothing but a simulated line to each other,
// with loss, delay, jitter, too little bandwidth, outages, firewalls and addresses that change.
//
// Each [Host] is a network namespace with a TUN device as its only way out. What a program in it sends is read from
// that device by the [Network], goes through the host's upward [Link], then through the downward one of the host that
// it is addressed to, and into that one's device. Kernels have a queueing discipline for the same purpose (netem), but
// not all of them; this one needs no module, and it is seeded.
//
// The tests run a server, Go clients and Chromium on such hosts (go tool task test:network), and print what people saw
// meanwhile as lines of a name, a value and a unit: pauses between pictures that a person sees (more than 250 ms), the
// delay from the camera on, and how long after the end of a fault pictures flow again for a second. They assert little of
// that, and compared with somebody who has no fault: a machine that does other things makes pauses, too.
//
// Namespaces have no name: they live in a thread of this process, and in the processes that were started in them. So
// nothing is left behind, however a test ends.
package network
