package policy

// WhiteboardRights are names of roles. Who is admin opens the board, and draws only
// as a writer.
type WhiteboardRights struct {
	Admin  []string
	Writer []string
	Reader []string
}

// Whiteboard returns who may do what with whiteboards; nobody anything without
// the plugin.
func (t *Template) Whiteboard() WhiteboardRights {
	plugin, _ := t.Plugins["whiteboard"].(map[string]any)
	permissions, _ := plugin["permissions"].(map[string]any)
	return WhiteboardRights{Admin: names(permissions["admin"]), Writer: names(permissions["writer"]), Reader: names(permissions["reader"])}
}

// names reads a list of texts that came as JSON.
func names(v any) []string {
	list, _ := v.([]any)
	texts := make([]string, 0, len(list))
	for _, e := range list {
		if text, ok := e.(string); ok {
			texts = append(texts, text)
		}
	}
	return texts
}

// ClientPlugins returns the plugins as clients take them: transcriptions are a
// list there, and anything else breaks them.
func (t *Template) ClientPlugins() map[string]any {
	plugins := make(map[string]any, len(t.Plugins))
	for name, plugin := range t.Plugins {
		if _, isList := plugin.([]any); name == "transcriptions" && !isList {
			plugin = []any{plugin}
		}
		plugins[name] = plugin
	}
	return plugins
}
