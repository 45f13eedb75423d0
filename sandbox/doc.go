// Package sandbox holds what the stand-ins for payment gateways share: their
// own SQLite file, random ids, switches for faults, the persisted queue of
// outgoing notifications, the shell of the hosted pages and a small PDF writer.
//
// A stand-in (stripe, worldpay) is a package below this one. It speaks its gateway's
// protocol over HTTP and is reached by the production adapter unchanged, so
// nothing here and nothing below imports the product: what the two sides have
// in common is the wire alone.
//
// Invariants:
//   - A reply is sent only after everything it speaks of is on disk. A process
//     killed at any moment finds, on its next start, either all of an operation
//     (objects, stored reply, notifications to send) or none of it.
//   - Nothing a person types into a hosted page is stored or logged, except
//     which of the published test cards it was.
package sandbox
