// Entry of the meeting page's bundle.
import './meeting.js';
