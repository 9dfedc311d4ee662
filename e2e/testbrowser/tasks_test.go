package testbrowser_test

import (
	"testing"
	"time"

	"amphi/e2e/testbrowser"
)

func TestTasks(t *testing.T) {
	if testing.Short() {
		t.Skip("needs Chromium, left out by -short")
	}
	browser, err := testbrowser.Start(t.Context(), testbrowser.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer browser.Close()
	p, err := browser.Open(testbrowser.PageConfig{})
	if err != nil {
		t.Fatal(err)
	}
	stop, err := p.Tasks()
	if err != nil {
		t.Fatal(err)
	}
	var at float64
	err = p.Eval(`new Promise((done) => setTimeout(() => {
		const at = performance.now();
		while (performance.now() < at + 150);
		done(at);
	}))`, &at)
	if err != nil {
		t.Fatal(err)
	}
	tasks, err := stop()
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		if at > task.At-1 && at < task.At+float64(task.All)/float64(time.Millisecond) {
			if task.All < 149*time.Millisecond || task.CPU <= 0 || task.CPU > task.All+time.Millisecond {
				t.Errorf("%+v", task)
			}
			return
		}
	}
	t.Errorf("none of %d tasks is at %.0f ms: %+v", len(tasks), at, tasks)
}
