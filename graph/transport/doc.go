// Package transport is everything between net/http and gqlgen's executor for
// the GraphQL endpoint: reading requests over POST, GET, server-sent events
// and WebSocket, authentication, the gate in front of the parser, page sizes,
// signed cursors, rate limits, deadlines, and the shape of every answer.
//
// It knows the schema only as gqlparser loads it and owns no resolver, no
// token storage and no business rule.
//
// The way of a request:
//
//  1. request id, security headers, CORS, cross-origin protection;
//  2. credentials (401 without them, also for introspection), requests in
//     flight, one point of the caller's bucket;
//  3. strict JSON into query, operationName, variables and extensions;
//  4. persisted queries, then the gate: bytes, tokens, nesting, and the fields
//     after fragment expansion, in time linear in the text, before anything
//     superlinear of the validator may see the document;
//  5. gqlgen parses and validates, or finds the document in the cache;
//  6. page sizes and their defaults, list lengths, cursors, the estimate of
//     nodes, the price; the rest of the price is taken from the bucket;
//  7. execution under a deadline, errors presented and cut to size.
//
// Invariants: no resolver runs before all of 1 to 6 have passed; every error
// that leaves carries a code of the list in errors.go; nothing of an unknown
// error but the request id reaches the caller.
package transport
