// Package auth owns the login to Netatmo. It keeps one pair of tokens alive for
// years after a single visit to a browser, and says what to do when that is no
// longer possible.
//
// The difficulty is that Netatmo makes a new pair at every renewal and
// invalidates the old one at once, whether or not its answer arrives, and
// documents no way back. A renewal is therefore treated as an irreversible
// write to a remote disk:
//
//   - one at a time across all processes, by a lock beside the token file;
//   - after reading the file again, because another process may have done it;
//   - only if a save has just been shown to work;
//   - as one request that nothing repeats, and that only a stop of the process
//     ends early, after half a minute;
//   - with the new pair saved before anybody uses it. If that fails, the pair is
//     kept in memory, the failure is logged, and saving is retried.
//
// Faults of the token endpoint count as temporary (timeouts, 403, 429, 5xx,
// HTML pages), and so do refusals such as invalid_grant until they have lasted
// for ten minutes. Once no access token works and its renewal has failed, a
// [Source] waits for a login, which comes from the web pages, from another
// process, or from a file put in place by hand. It also keeps trying to renew
// the old one.
//
// The package knows nothing about Netatmo's API or the agent's settings. Package
// pages has the web pages; package authtest is the server for tests.
package auth
