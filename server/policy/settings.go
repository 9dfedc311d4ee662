package policy

import (
	"cmp"
	"encoding/json"
	"net/url"
	"slices"
	"unicode/utf8"
)

// Settings of a template.
type Settings struct {
	Region    string             `json:"region"`    // one of Regions: a label on a self-hosted server
	Recording *RecordingSettings `json:"recording"` // nil: recordings stay on the server
	RoomState *RoomState         `json:"roomState,omitempty"`
	Retry     struct{}           `json:"retry"` // documented as an empty object

	// RegionLabel is where the server is, in the host's own words, instead of Region. Templates of 100ms have no
	// such key, nor the next.
	RegionLabel string `json:"regionLabel,omitempty"`
	Brand       *Brand `json:"brand,omitempty"` // nil: Amphi's own
}

// Regions are the values of Settings.Region.
var Regions = []string{"auto", "in", "us", "eu"}

// Where says where an app is, as people read it.
func (s *Settings) Where() string {
	if s.RegionLabel != "" {
		return s.RegionLabel
	}
	return s.Region
}

// Brand is whose pages those of an app are: its public page, and where people meet.
type Brand struct {
	Name  string `json:"name,omitempty"` // in place of the template's
	Logo  Image  `json:"logo,omitempty"`
	Color string `json:"color,omitempty"` // of buttons and links, "#rrggbb"
}

// Bounds of a brand and of a label.
const (
	maxBrandName   = 60 // characters
	maxLogoBytes   = 64 << 10
	maxRegionLabel = 40 // characters
)

func (b *Brand) check(bad func(string, ...any)) {
	if b == nil {
		return
	}
	if n := utf8.RuneCountInString(b.Name); n > maxBrandName {
		bad("settings.brand: name has %d characters, at most are %d", n, maxBrandName)
	}
	if problem := b.Logo.problem(); problem != "" {
		bad("settings.brand: logo %s", problem)
	} else if n := len(b.Logo.Data()); n > maxLogoBytes {
		bad("settings.brand: logo has %d bytes, at most are %d", n, maxLogoBytes)
	}
	if _, ok := ParseColor(b.Color); b.Color != "" && !ok {
		bad("settings.brand: color %q is none: one is written #rrggbb", b.Color)
	}
}

// RecordingSettings say where recordings go.
type RecordingSettings struct {
	Enabled bool    `json:"enabled,omitempty"`
	Upload  *Upload `json:"upload,omitempty"`
}

// Upload is a bucket or container of the user's own.
type Upload struct {
	Type        string        `json:"type"` // one of UploadTypes
	Location    string        `json:"location"`
	Prefix      string        `json:"prefix,omitempty"`
	Options     UploadOptions `json:"options"`
	Credentials Credentials   `json:"credentials"`
}

// UploadTypes are the kinds of storage that an upload can name.
var UploadTypes = []string{"s3", "gs", "oss", "azure"}

// UploadOptions of an Upload.
type UploadOptions struct {
	Region string `json:"region,omitempty"`
}

// Credentials of an Upload.
type Credentials struct {
	Key       string `json:"key,omitempty"`
	SecretKey string `json:"secretKey,omitempty"`
}

// UnmarshalJSON takes the secret under both of its names: templates call it secretKey, rooms secret.
func (c *Credentials) UnmarshalJSON(text []byte) error {
	var both struct {
		Key       string `json:"key"`
		SecretKey string `json:"secretKey"`
		Secret    string `json:"secret"`
	}
	if err := json.Unmarshal(text, &both); err != nil {
		return err
	}
	c.Key, c.SecretKey = both.Key, cmp.Or(both.SecretKey, both.Secret)
	return nil
}

// HiddenSecret stands in answers for a secret that is set. Given back, it means the secret that is set.
const HiddenSecret = "********"

// Hidden returns the upload as it may be shown.
func (u *Upload) Hidden() *Upload {
	if u == nil || u.Credentials.SecretKey == "" {
		return u
	}
	shown := *u
	shown.Credentials.SecretKey = HiddenSecret
	return &shown
}

// Keep takes over the secret of the upload that was set before, if u has only what stands for it.
func (u *Upload) Keep(before *Upload) {
	if u != nil && u.Credentials.SecretKey == HiddenSecret && before != nil {
		u.Credentials.SecretKey = before.Credentials.SecretKey
	}
}

// Problem says what is wrong with an upload, in the words of the API; "" if nothing is.
func (u *Upload) Problem() string {
	switch {
	case u == nil:
		return ""
	case u.Location == "":
		return "Bucket location is missing"
	case !slices.Contains(UploadTypes, u.Type):
		return "Invalid upload configuration"
	}
	return ""
}

// RoomState says what clients that have not joined are told about the room.
type RoomState struct {
	MessageInterval     int  `json:"messageInterval"` // seconds, a multiple of 5
	SendPeerList        bool `json:"sendPeerList"`    // or only their number
	StopRoomStateOnJoin bool `json:"stopRoomStateOnJoin"`
	Enabled             bool `json:"enabled"`
}

// Destinations is where a room's media goes besides its peers, by name.
type Destinations struct {
	RTMP              map[string]*RTMPDestination    `json:"rtmpDestinations,omitempty"`
	HLS               map[string]*HLSDestination     `json:"hlsDestinations,omitempty"`
	BrowserRecordings map[string]*BrowserRecording   `json:"browserRecordings,omitempty"` // deprecated; kept as given
	Transcriptions    map[string]*TranscriptionSetup `json:"transcriptions,omitempty"`
}

// RTMPDestination is where the composed picture is pushed to. Durations are in seconds, sizes in pixels.
type RTMPDestination struct {
	Name             string   `json:"name"`
	Width            int      `json:"width,omitempty"`
	Height           int      `json:"height,omitempty"`
	MaxDuration      int      `json:"maxDuration,omitempty"`
	RTMPURLs         []string `json:"rtmpUrls,omitempty"`
	RecordingEnabled bool     `json:"recordingEnabled"`
	AutoStopTimeout  int      `json:"autoStopTimeout,omitempty"`
}

// HLSDestination is how a room's live stream looks. Durations are in seconds.
type HLSDestination struct {
	Name             string        `json:"name"`
	Role             string        `json:"role,omitempty"` // of the composer, who sees what its role subscribes to
	MaxDuration      int           `json:"maxDuration,omitempty"`
	Layers           []HLSLayer    `json:"layers"`
	PlaylistType     string        `json:"playlistType"` // "live" (rolling window) or "event" (DVR)
	VideoFrameRate   int           `json:"videoFrameRate,omitempty"`
	EnableStaticURL  bool          `json:"enableStaticUrl,omitempty"`
	AutoStopTimeout  int           `json:"autoStopTimeout,omitempty"`
	NumSegments      int           `json:"numPlaylistSegments,omitempty"` // of a "live" playlist
	MetadataInserted bool          `json:"enableMetadataInsertion,omitempty"`
	Recording        *HLSRecording `json:"recording,omitempty"`
	Layout           *Layout       `json:"layout,omitempty"` // nil: a grid in the shape of the layers
}

// HLSLayer is one rendition; bit rates in kbit/s.
type HLSLayer struct {
	Width        int `json:"width"`
	Height       int `json:"height"`
	VideoBitrate int `json:"videoBitrate"`
	AudioBitrate int `json:"audioBitrate"`
}

// HLSRecording says what of a live stream is kept.
type HLSRecording struct {
	HLSVOD             bool        `json:"hlsVod"`
	SingleFilePerLayer bool        `json:"singleFilePerLayer"`
	EnableZipUpload    bool        `json:"enableZipUpload"`
	Layers             []HLSLayer  `json:"layers,omitempty"` // none: all of the destination
	Thumbnails         *Thumbnails `json:"thumbnails,omitempty"`
	PresignDuration    int         `json:"presignDuration,omitempty"` // seconds
}

// Thumbnails are pictures taken from a recording. Offsets are in seconds from its start.
type Thumbnails struct {
	Enabled bool  `json:"enabled"`
	Width   int   `json:"width,omitempty"`
	Height  int   `json:"height,omitempty"`
	Offsets []int `json:"offsets,omitempty"`
	FPS     int   `json:"fps,omitempty"`
}

// BrowserRecording is an old form of [Recording].
type BrowserRecording struct {
	Name            string      `json:"name"`
	Role            string      `json:"role,omitempty"`
	Width           int         `json:"width,omitempty"`
	Height          int         `json:"height,omitempty"`
	MaxDuration     int         `json:"maxDuration,omitempty"`
	Thumbnails      *Thumbnails `json:"thumbnails,omitempty"`
	PresignDuration int         `json:"presignDuration,omitempty"`
	AutoStart       bool        `json:"autoStart,omitempty"`
	AutoStopTimeout int         `json:"autoStopTimeout,omitempty"`
}

// TranscriptionSetup says what is written down of what is said.
type TranscriptionSetup struct {
	Name             string       `json:"name"`
	Role             string       `json:"role"`                  // everything that it subscribes to is transcribed
	Modes            []string     `json:"modes,omitempty"`       // recorded, live, caption
	OutputModes      []string     `json:"outputModes,omitempty"` // txt, srt, json
	CustomVocabulary []string     `json:"customVocabulary,omitempty"`
	Summary          *Summary     `json:"summary,omitempty"`
	Translation      *Translation `json:"translation,omitempty"`
}

// Summary says how a transcript is summed up.
type Summary struct {
	Enabled     bool             `json:"enabled"`
	Context     string           `json:"context,omitempty"`
	Temperature float64          `json:"temperature,omitempty"`
	Sections    []SummarySection `json:"sections,omitempty"`
}

// SummarySection is a chapter of a summary. Format is bullets or paragraph.
type SummarySection struct {
	Title  string `json:"title"`
	Format string `json:"format"`
}

// Translation of captions: the language of each role, by its code.
type Translation struct {
	Enabled       bool              `json:"enabled"`
	RoleLanguages map[string]string `json:"roleLanguages,omitempty"`
}

// Recording says what is recorded of a room, and how. Durations are in seconds.
type Recording struct {
	Name            string          `json:"name"`
	Role            string          `json:"role"`
	MaxDuration     int             `json:"maxDuration,omitempty"`
	PresignDuration int             `json:"presignDuration,omitempty"`
	Thumbnails      *ThumbnailSetup `json:"thumbnails,omitempty"`
	Composite       *CompositeModes `json:"compositeRecording,omitempty"`
	Track           *RecordingMode  `json:"trackRecording,omitempty"`
	Stream          *RecordingMode  `json:"streamRecording,omitempty"`
}

// CompositeModes are the two ways to record all in one picture: what a browser sees, or what the server composes.
type CompositeModes struct {
	Browser *RecordingMode `json:"browserComposite,omitempty"`
	Custom  *RecordingMode `json:"customComposite,omitempty"`
}

// ThumbnailSetup is [Thumbnails] in a [Recording], where enabled is left out when it is false.
type ThumbnailSetup struct {
	Enabled bool  `json:"enabled,omitempty"`
	Width   int   `json:"width,omitempty"`
	Height  int   `json:"height,omitempty"`
	Offsets []int `json:"offsets,omitempty"`
	FPS     int   `json:"fps,omitempty"`
}

// RecordingMode is one way to record.
type RecordingMode struct {
	Enabled         bool `json:"enabled,omitempty"`
	AutoStart       bool `json:"autoStart,omitempty"`
	AutoStopTimeout int  `json:"autoStopTimeout,omitempty"` // seconds
	Width           int  `json:"width,omitempty"`
	Height          int  `json:"height,omitempty"`
}

// MaxPushes is how many addresses one start may push a stream to.
const MaxPushes = 5

// IsMeetingURL says whether text is the address of a page that joins a meeting.
func IsMeetingURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && len(text) <= 2048
}

// IsRTMP says whether text is an address to push a stream to.
func IsRTMP(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "rtmp" || u.Scheme == "rtmps") && u.Hostname() != "" && len(u.Path) > 1 && len(text) <= 1024
}
