package ingest

import (
	"testing"

	"amphi/server/policy"
)

// A source is what may publish video, and the most important of that.
func TestRoleFor(t *testing.T) {
	role := func(name string, priority int, may ...policy.Publishable) *policy.Role {
		return &policy.Role{Name: name, Priority: priority, PublishParams: policy.PublishParams{Allowed: may}}
	}
	roles := func(list ...*policy.Role) *policy.Template {
		t := &policy.Template{Roles: map[string]*policy.Role{}}
		for _, r := range list {
			t.Roles[r.Name] = r
		}
		return t
	}
	got, err := roleFor(roles(role("viewer", 1), role("speaker", 1, policy.PublishAudio), role("guest", 3, policy.PublishVideo), role("host", 2, policy.PublishVideo)))
	if err != nil || got != "host" {
		t.Errorf("%s %v", got, err)
	}
	if _, err := roleFor(roles(role("viewer", 1))); err == nil {
		t.Error("somebody who may publish nothing does")
	}
}
