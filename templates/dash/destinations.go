package dash

import "amphi/server/policy"

// Destinations is where an app's media goes.
type Destinations struct {
	App
	Stream   string   // name of the live stream that is shown; "" = there is none
	Streams  []string // names of all
	Static   string   // address of the static playlist of the app's first room; "" = no room
	Roles    []string // that publish
	Logo     bool     // there is one over the picture
	Preview  Preview
	Pushes   []Push
	Stored   string // what is known of the storage: the secret is set
	Tried    string // the storage has been tried; "" = it has not
	TriedBad bool
}

// Push is a destination for RTMP.
type Push struct {
	Name  string
	Hosts []string // paths hold stream keys
	Size  string
}

// Preview is what a live stream would look like.
type Preview struct {
	URL     string
	Problem string // why there is none
	Tall    bool
}

// maxLadder is how many sizes the form has.
const maxLadder = 4

func layoutOptions() []Option {
	return []Option{{"", "Grid"}, {"active-speaker", "Active speaker"}, {"sidebar", "Sidebar: the first is large"}, {"spotlight", "Spotlight: one fills the picture"}}
}

func optionsOf(first string, values []string) []Option {
	list := []Option{{"", first}}
	for _, v := range values {
		list = append(list, Option{v, v})
	}
	return list
}

var (
	densityOptions  = []Option{{"", "Compact"}, {"spacious", "Spacious"}}
	playlistOptions = []Option{{"live", "Live: viewers see the last moments only"}, {"event", "Event: viewers can go back to the beginning (DVR)"}}
	peopleOptions   = []Option{{"1", "1 person"}, {"2", "2 people"}, {"3", "3 people"}, {"5", "5 people"}, {"9", "9 people"}, {"25", "25 people"}, {"0", "An empty stage"}}
	sizeOptions     = []Option{{"1280x720", "1280×720"}, {"1920x1080", "1920×1080"}, {"854x480", "854×480"}, {"720x1280", "720×1280, for phones"}}
	storageOptions  = []Option{{"", "This server"}, {"s3", "Amazon S3"}, {"gs", "Google Cloud Storage"}, {"oss", "Alibaba OSS"}}
	positionOptions = optionsOf("Top right", policy.Positions)
)
