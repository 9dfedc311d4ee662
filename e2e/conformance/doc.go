// Package conformance holds the server against the clients that it must serve. In a real browser it runs the unmodified
// npm packages @100mslive/hms-video-store, @100mslive/hls-player and @100mslive/react-sdk through every action that
// they have, and through the checklist of the protocol; then the same with Amphi's own SDK in their place, by an import
// map. web/rows.js says what must be shown, web/exclusions.js what cannot be and why, web/cases has the cases.
//
// A case is a function on people who each are one client of the SDK, in one page. It waits for what the others see of
// an action, not for the action's promise.
package conformance
