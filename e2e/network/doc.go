// Package network gives the end-to-end tests bad networks: hosts that see nothing but a simulated line to each other,
// with loss, delay, jitter, too little bandwidth, outages, firewalls and addresses that change.
//
// Each [Host] is a network namespace with a TUN device as its only way out. What a program in it sends is read from
// that device by the [Network], goes through the host's upward [Link], then through the downward one of the host that
// it is addressed to, and into that one's device. Kernels have a queueing discipline for the same purpose (netem), but
// not all of them; this one needs no module, and it is seeded.
//
// Namespaces have no name: they live in a thread of this process, and in the processes that were started in them. So
// nothing is left behind, however a test ends.
package network
