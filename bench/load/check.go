package main

import (
	"bytes"
	"fmt"
)

var (
	contentField    = []byte(`"content"`)
	completionField = []byte(`"completion_tokens"`)
	embeddingField  = []byte(`"embedding"`)
	promptField     = []byte(`"prompt_tokens"`)
)

// check says what a reply must be. It looks at the bytes instead of parsing them all: parsing every reply would make
// the generator a part of what is measured.
type check struct {
	status      int
	contains    []byte
	isEmbedding bool
}

func (c check) reply(status int, body []byte) error {
	if status == c.status && c.holds(body) {
		return nil
	}
	return &refusal{fmt.Sprintf("%d: %.300s", status, body)}
}

func (c check) holds(body []byte) bool {
	if len(c.contains) > 0 {
		return bytes.Contains(body, c.contains)
	}
	trimmed := bytes.TrimSpace(body)
	if len(trimmed) < 2 || trimmed[0] != '{' || trimmed[len(trimmed)-1] != '}' {
		return false
	}
	if c.isEmbedding {
		return hasVector(body) && hasCount(body, promptField)
	}
	return hasText(body, contentField) && hasCount(body, completionField)
}

// after gives what follows a field's colon.
func after(body, field []byte) []byte {
	at := bytes.Index(body, field)
	if at < 0 {
		return nil
	}
	return bytes.TrimLeft(body[at+len(field):], ": \t\r\n")
}

func hasText(body, field []byte) bool {
	value := after(body, field)
	return len(value) > 1 && value[0] == '"' && value[1] != '"'
}

func hasCount(body, field []byte) bool {
	value := after(body, field)
	return len(value) > 0 && value[0] >= '1' && value[0] <= '9'
}

// hasVector looks for the field, not for the same word as a value ("object":"embedding").
func hasVector(body []byte) bool {
	for len(body) > 0 {
		value := after(body, embeddingField)
		if len(value) > 1 && (value[0] == '[' || value[0] == '"') && value[1] != ']' && value[1] != '"' {
			return true
		}
		body = value
	}
	return false
}
