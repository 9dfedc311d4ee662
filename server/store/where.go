package store

import (
	"database/sql"
	"fmt"
	"math"
	"strings"
	"time"
)

var errNoRows = sql.ErrNoRows

// clause is a growing WHERE clause. Conditions are constants of this package; values are always arguments.
type clause struct {
	text string
	args []any
}

func where(condition string, args ...any) *clause {
	return &clause{text: " WHERE " + condition, args: args}
}

func (c *clause) and(condition string, args ...any) {
	c.text += " AND " + condition
	c.args = append(c.args, args...)
}

// is asks for a value in a text column; an empty one asks for nothing.
func (c *clause) is(column, value string) {
	if value != "" {
		c.and(column+" = ?", value)
	}
}

// between bounds a time column; zero times do not. Both ends are included.
func (c *clause) between(column string, after, before time.Time) {
	if !after.IsZero() {
		c.and(column+" >= ?", after.UnixMilli())
	}
	if !before.IsZero() {
		c.and(column+" <= ?", before.UnixMilli())
	}
}

// idSlack is more than an id may be older than what its row says about its beginning.
const idSlack = time.Hour

// idsFrom spares a list that begins at some time the rows from long before: an id begins with its time in seconds. It
// only narrows down; the list has a condition of its own about the exact time.
func (c *clause) idsFrom(id string, after time.Time) {
	if from := after.Add(-idSlack).Unix(); !after.IsZero() && from > 0 && from <= math.MaxUint32 {
		c.and(id+" >= ?", fmt.Sprintf("%08x", from))
	}
}

// page ends the statement: newest first, which is what a descending id means.
func (c *clause) page(id string, p Page) {
	if p.Start != "" {
		c.and(id+" < ?", p.Start)
	}
	c.text += " ORDER BY " + id + " DESC LIMIT ?"
	c.args = append(c.args, p.Limit)
}

// anyOf is the condition that a column has one of the values, of which there is at least one.
func anyOf(column string, values []string) (condition string, args []any) {
	for _, v := range values {
		args = append(args, v)
	}
	return column + " IN (?" + strings.Repeat(", ?", len(values)-1) + ")", args
}
