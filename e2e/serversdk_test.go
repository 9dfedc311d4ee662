package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"amphi/e2e/testserver"
)

// TestServerSDK lets the unmodified server SDK of the service whose REST API Amphi speaks manage rooms, codes and a live
// stream: only its base URL is changed.
func TestServerSDK(t *testing.T) {
	if testing.Short() {
		t.Skip("tests the whole system, left out by -short")
	}
	server := testserver.Run(t)
	var templates struct {
		Data []struct{ ID string }
	}
	if err := server.API(t.Context(), "GET", "/v2/templates", nil, &templates); err != nil || len(templates.Data) == 0 {
		t.Fatalf("%+v %v", templates, err)
	}
	keys := server.Keys()
	cmd := exec.CommandContext(t.Context(), "node", "server.mjs")
	cmd.Dir = "sdk"
	cmd.Env = append(os.Environ(), "AMPHI_URL="+server.URL, "AMPHI_TEMPLATE="+templates.Data[0].ID,
		"HMS_ACCESS_KEY="+keys.AccessKey, "HMS_SECRET="+keys.Secret)
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	t.Log(strings.TrimSpace(string(output)))
}
