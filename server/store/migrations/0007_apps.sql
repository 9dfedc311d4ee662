-- The name of a template's app in addresses, unique in the server; empty: it has none.
ALTER TABLE templates ADD COLUMN subdomain TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX templates_subdomain ON templates (subdomain) WHERE subdomain <> '';

-- The first room of a template is asked for.
DROP INDEX rooms_of_template;
CREATE INDEX rooms_of_template ON rooms (template_id, id);
