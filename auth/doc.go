// Package auth owns the login to Netatmo: it keeps one pair of tokens alive for
// years after a single visit to a browser, and says what to do when that is not
// possible any more.
//
// The difficulty is that Netatmo makes a new pair at every refresh and kills the
// old one at once, whether or not its answer arrives, and that it documents no
// way back. A refresh is therefore treated as a write on somebody else's disk
// that cannot be undone:
//
//   - one at a time over all processes, by a lock beside the token file;
//   - after reading the file again, since another process may have done it;
//   - only if saving has just been shown to work;
//   - as one request that nothing repeats, and that nothing ends early but a stop
//     of the process, after half a minute;
//   - with the new pair saved before anybody uses it. If that fails the pair is
//     kept in memory, reported, and saved as soon as it is possible.
//
// Faults of the token endpoint pass (timeouts, 403, 429, 5xx, pages of HTML),
// and so does invalid_grant until it has been repeated for ten minutes. A login
// that is lost ends nothing: a [Source] waits for the next one, which comes from
// the web pages, from another process, or from a file put in place by hand, and
// tries the old one now and then.
//
// The package knows nothing of Netatmo's API or of the agent's settings. Package
// authtest is the server it is tested against.
package auth
