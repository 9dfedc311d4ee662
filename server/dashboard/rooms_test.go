package dashboard

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"amphi/server/account"
	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/store"
)

func TestRoomFromBeginningToEnd(t *testing.T) {
	k := desked(t, account.Developer, nil)
	app := k.seed.Room.TemplateID
	k.get("/dashboard/rooms", "main-stage", "New room")
	k.get("/dashboard/rooms/new", "Make the room")
	k.refused("/dashboard/rooms/new", []string{"name", "two words", "app", app, "description", "<b>kept</b>", "minutes", "soon"},
		"whole number", "&lt;b&gt;kept&lt;/b&gt;", `aria-invalid="true"`)
	k.refused("/dashboard/rooms/new", []string{"name", "two words", "app", app}, "letters, digits", `value="two words"`)
	k.refused("/dashboard/rooms/new", []string{"name", "main-stage", "app", app}, "of this name already")
	k.refused("/dashboard/rooms/new", []string{"name", "", "app", app}, "needs a name")
	k.refused("/dashboard/rooms/new", []string{"name", "x", "app", app, "minutes", "1"}, "less than 120 seconds")
	path := k.post("/dashboard/rooms/new", "name", "lesson-1", "description", "About <i>nothing</i>", "app", app, "minutes", "90")
	page := k.get(path, "lesson-1", "About &lt;i&gt;nothing&lt;/i&gt;", "broadcaster", "hls-viewer", "/streaming/meeting/", "stream key")
	if n := len(regexp.MustCompile(`dialog" id="qr-`).FindAllString(page, -1)); n != 3 {
		t.Errorf("%d codes with a picture, want one for each role", n)
	}
	room, err := k.store.Room(t.Context(), k.seed.Workspace.ID, path[strings.LastIndex(path, "/")+1:])
	if err != nil || room.MaxDurationSeconds != 90*60 {
		t.Errorf("%+v, %v", room, err)
	}

	// Its links.
	codes, err := k.store.RoomCodes(t.Context(), room.ID, store.CodeFilter{Role: policy.RoleBroadcaster}, store.Page{Limit: 10})
	if err != nil || len(codes) != 1 {
		t.Fatal(codes, err)
	}
	code := codes[0].Code
	status, picture, header := k.do(http.MethodGet, path+"/codes/"+code+"/qr.svg", nil)
	if status != http.StatusOK || header.Get("Content-Type") != "image/svg+xml" || strings.Contains(picture, "style=") {
		t.Errorf("picture: %d %s", status, header)
	}
	if err := xml.NewDecoder(strings.NewReader(picture)).Decode(new(struct{})); err != nil {
		t.Error(err)
	}
	if status, _, _ := k.do(http.MethodGet, "/dashboard/rooms/"+k.seed.Room.ID+"/codes/"+code+"/qr.svg", nil); status != http.StatusNotFound {
		t.Errorf("a code of another room: %d", status)
	}
	k.post(path+"/codes", "role", policy.RoleBroadcaster)
	k.post(path+"/codes/"+code, "enabled", "false")
	if c, err := k.store.RoomCode(t.Context(), code); err != nil || c.Enabled {
		t.Errorf("disabled: %+v, %v", c, err)
	}
	k.get(path, "One more link", ">disabled<")
	k.refused(path+"/codes", []string{"role", "king"}, "Role not found")

	// Its stream key.
	k.post(path+"/stream-key", "do", "create")
	first, err := k.store.StreamKey(t.Context(), room.ID)
	if err != nil {
		t.Fatal(err)
	}
	k.get(path, first.Key, ":1935/", "/whip/")
	k.refused(path+"/stream-key", []string{"do", "create"}, "Active key already exists")
	k.post(path+"/stream-key", "do", "reset")
	if second, err := k.store.StreamKey(t.Context(), room.ID); err != nil || second.Key == first.Key {
		t.Errorf("reset: %v", err)
	}
	k.post(path+"/stream-key", "do", "disable")
	k.get(path, "no stream key")

	// Its settings.
	k.get(path+"/settings", `value="90"`, "As the app says")
	k.refused(path+"/settings", []string{"name", "lesson-1", "app", app, "size", "30000"}, "greater than 20000", "size-problem")
	k.refused(path+"/settings", []string{"name", "lesson-1", "app", app, "recording", "own", "store", "s3"}, "Bucket location is missing", "bucket-problem")
	k.post(path+"/settings", "name", "lesson-2", "app", app, "recording", "own", "store", "s3", "bucket", "films", "key", "AK", "secret", "hush")
	if page := k.get(path+"/settings", "lesson-2", "films"); strings.Contains(page, "hush") {
		t.Error("the page has the secret of the bucket")
	}
	k.post(path+"/settings", "name", "lesson-2", "app", app, "recording", "own", "store", "s3", "bucket", "movies", "key", "AK")
	if room, err = k.store.Room(t.Context(), k.seed.Workspace.ID, room.ID); err != nil || !bytes.Contains(room.Recording, []byte("hush")) || room.MaxDurationSeconds != longestSession {
		t.Errorf("kept: %s, %+v, %v", room.Recording, room, err)
	}
	k.post(path+"/settings", "name", "lesson-2", "app", app, "recording", "app")
	if room, err = k.store.Room(t.Context(), k.seed.Workspace.ID, room.ID); err != nil || room.Recording != nil {
		t.Errorf("recording: %s, %v", room.Recording, err)
	}

	// Closed.
	k.post(path+"/enabled", "enabled", "false")
	k.get(path, "The room is closed")
	k.get("/dashboard/rooms?state=closed", "lesson-2")
	if page := k.get("/dashboard/rooms?q=LESSON&state=open"); strings.Contains(page, "lesson-2") {
		t.Error("a closed room is among the open ones")
	}
	k.get("/dashboard/rooms?q="+room.ID, "lesson-2")
	k.get("/dashboard/rooms?q=%3Cscript%3E", "No room is like that", `value="&lt;script&gt;"`)
}

func TestViewersSeeAndChangeNothing(t *testing.T) {
	k := desked(t, account.Viewer, nil)
	path := "/dashboard/rooms/" + k.seed.Room.ID
	key, err := k.store.NewStreamKey(t.Context(), k.seed.Room.ID)
	if err != nil {
		t.Fatal(err)
	}
	if page := k.get(path, "main-stage"); strings.Contains(page, "New room") || strings.Contains(page, key.Key) || strings.Contains(page, `method="post" action="`+path) {
		t.Error("a viewer's page has what developers may")
	}
	k.get(path + "/live")
	for _, post := range []string{"/dashboard/rooms/new", path + "/settings", path + "/enabled", path + "/codes", path + "/stream-key", path + "/live/stream", path + "/live/end",
		path + "/live/peers/x/remove"} {
		if status, _, _ := k.do(http.MethodPost, post, nil); status != http.StatusForbidden {
			t.Errorf("POST %s as a viewer: %d", post, status)
		}
	}
	if status, _, _ := k.do(http.MethodGet, "/dashboard/rooms/"+store.NewID(), nil); status != http.StatusNotFound {
		t.Errorf("an unknown room: %d", status)
	}
}

func TestLiveRoom(t *testing.T) {
	k := desked(t, account.Developer, nil)
	path := "/dashboard/rooms/" + k.seed.Room.ID + "/live"
	k.get(path, "The room is empty")
	_, hears := k.join("ann", policy.RoleBroadcaster)
	bob, _ := k.join("bob/&?", policy.RoleViewerRealtime)
	if _, err := bob.JoinGroup(t.Context(), protocol.GroupChange{Name: protocol.HandRaiseGroup}); err != nil {
		t.Fatal(err)
	}
	page := k.get(path, "name of ann", "name of bob/&amp;?", "raises a hand", "End the session", "/debug/rooms/"+k.seed.Room.ID)
	if strings.Index(page, "column-stage") > strings.Index(page, "name of ann") || strings.Index(page, "column-floor") < strings.Index(page, "name of ann") {
		t.Error("ann is not on the stage")
	}
	part := k.get(path+"/now", "name of ann")
	if strings.Contains(part, "<html") {
		t.Error("what is fetched again is a whole page")
	}
	k.get("/dashboard/rooms?state=live", "main-stage", "live, 2 people")

	peer := path + "/peers/bob%2F&%3F"
	k.get(peer, "name of bob", "raised")
	k.post(peer+"/role", "role", policy.RoleBroadcaster)
	k.get(peer, ">stage<")
	k.refused(peer+"/role", []string{"role", "king"}, "role")
	k.post(peer + "/mute")
	k.refused(peer+"/mute", []string{"type", "smell"}, "Type must be one of")
	k.post(path+"/message", "message", "Hello", "role", policy.RoleBroadcaster)
	if !hears.heard(protocol.OnBroadcast) {
		t.Error("ann did not hear the message")
	}
	k.refused(path+"/message", []string{"message", " "}, "Write something")
	k.post(peer+"/remove", "reason", "Good night")
	if at := k.post(peer+"/role", "role", policy.RoleBroadcaster); !strings.HasSuffix(at, "/live") {
		t.Errorf("who is gone: %s", at)
	}

	k.post(path+"/stream", "do", "start")
	k.get(path, "starting")
	k.refused(path+"/stream", []string{"do", "start"}, "Beam already started")
	k.post(path+"/stream", "do", "stop")
	k.refused(path+"/recording", []string{"do", "stop"}, "class=\"note note-bad\"")

	k.post(path+"/end", "lock", "on")
	eventually(t, "the end", func() bool { return k.rooms.Lookup(k.seed.Room.ID) == nil })
	k.get("/dashboard/rooms/"+k.seed.Room.ID, "The room is closed")
	k.refused(path+"/end", nil, "Session not found")
	log, err := k.store.Audit(t.Context(), k.seed.Workspace.ID, store.AuditFilter{}, store.Page{Limit: 100})
	if err != nil || len(log) < 6 {
		t.Errorf("audit log: %v, %v", log, err)
	}
}

func TestListsHavePages(t *testing.T) {
	k := desked(t, account.Viewer, nil)
	for i := range 2*pageSize + 1 {
		if _, err := k.store.SaveRoom(t.Context(), k.seed.Workspace.ID, fmt.Sprintf("room-%02d", i), func(*store.Room) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	older := regexp.MustCompile(`href="([^"]*)" rel="next"`)
	seen, path := 0, "/dashboard/rooms?q=room-&amp;state=open"
	for range 5 {
		page := k.get(strings.ReplaceAll(path, "&amp;", "&"))
		seen += strings.Count(page, `class="row-link"`)
		next := older.FindStringSubmatch(page)
		if next == nil {
			break
		}
		path = next[1]
	}
	if seen != 2*pageSize+1 {
		t.Errorf("%d rooms seen", seen)
	}
	k.get("/dashboard/rooms?start=nonsense", "room-50")
}
