// Package turn is a TURN server (RFC 8656) for the clients of this server and nobody else: for those whose network
// lets no media through to the media port. It listens on UDP and TCP, and with TLS where there is a certificate.
//
// It is no open relay. Who asks for a relay shows credentials that this server made (see [Server.Credentials]) and that
// expire; a relay is a socket that is connected to the media port, so that nothing else can be reached through it, and
// nobody else can reach the client. What one user and all together may have is limited, and a connection without a
// relay does not stay.
//
// The protocol itself is pion's.
package turn
