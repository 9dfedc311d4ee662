package testbrowser

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/io"
	"github.com/chromedp/cdproto/tracing"
	"github.com/chromedp/chromedp"
)

// Task is something that the page's main thread did without a pause. On a machine with more to do than it has processors, the
// time that passes meanwhile says more about the machine than about the page.
type Task struct {
	At  float64 // of performance.now, in milliseconds
	All time.Duration
	CPU time.Duration // that the thread had a processor for
}

// tracedMark is the mark that tells which of all threads is the page's, and its clock.
const tracedMark = "testbrowser.tasks"

// Tasks notes the tasks of the page until stop is called. Those before its present document have times below 0, or are left out.
func (p *Page) Tasks() (stop func() ([]Task, error), err error) {
	err = p.traced(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, tracing.Start, tracing.StartParams{
			TransferMode: tracing.StartTransferModeReturnAsStream,
			TraceConfig: &tracing.TraceConfig{
				IncludedCategories: []string{"toplevel", "disabled-by-default-devtools.timeline", "blink.user_timing"}, ExcludedCategories: []string{"*"},
			},
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	return func() ([]Task, error) {
		if err := p.Eval("void performance.mark("+quoted(tracedMark)+")", nil); err != nil {
			return nil, err
		}
		var trace []byte
		err := p.traced(func(ctx context.Context, t *chromedp.Target) error {
			complete := cdp.Events(ctx, t, tracing.TracingComplete)
			if _, err := cdp.Call(ctx, t, tracing.End, cdp.Empty{}); err != nil {
				return err
			}
			for event, err := range complete {
				if err != nil {
					return err
				}
				trace, err = stream(ctx, t, event.Stream)
				return err
			}
			return ctx.Err()
		})
		if err != nil {
			return nil, fmt.Errorf("trace: %w", err)
		}
		return tasksOf(trace)
	}, nil
}

func (p *Page) traced(do func(context.Context, *chromedp.Target) error) error {
	ctx, cancel := context.WithTimeout(p.ctx, 4*timeout) // megabytes
	defer cancel()
	return chromedp.Do(ctx, chromedp.Func(do))
}

func stream(ctx context.Context, t *chromedp.Target, handle io.StreamHandle) (data []byte, err error) {
	for {
		part, err := cdp.Call(ctx, t, io.Read, io.ReadParams{Handle: handle})
		if err != nil {
			return nil, err
		}
		data = append(data, part.Data...)
		if part.EOF {
			return data, nil
		}
	}
}

// tasksOf finds the tasks of the thread that set the mark.
func tasksOf(trace []byte) ([]Task, error) {
	var t struct {
		TraceEvents []struct {
			Name     string  `json:"name"`
			PID      int     `json:"pid"`
			TID      int     `json:"tid"`
			At       float64 `json:"ts"` // microseconds, as are the others
			Duration float64 `json:"dur"`
			CPU      float64 `json:"tdur"`
			Args     struct {
				Data struct{ StartTime float64 } `json:"data"`
			} `json:"args"`
		} `json:"traceEvents"`
	}
	if err := json.Unmarshal(trace, &t); err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	for _, mark := range t.TraceEvents {
		if mark.Name != tracedMark {
			continue
		}
		var tasks []Task
		for _, e := range t.TraceEvents {
			if e.PID == mark.PID && e.TID == mark.TID && e.Name == "RunTask" {
				tasks = append(tasks, Task{
					At:  mark.Args.Data.StartTime + (e.At-mark.At)/1000,
					All: time.Duration(e.Duration * float64(time.Microsecond)), CPU: time.Duration(e.CPU * float64(time.Microsecond)),
				})
			}
		}
		return tasks, nil
	}
	return nil, fmt.Errorf("none of the trace's %d events is of the page", len(t.TraceEvents))
}
