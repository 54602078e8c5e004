import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderTemplate } from '../../../src/go/template.ts';
import { parseJson } from '../../../src/oci/json.ts';

const value = parseJson(
  '{"Name":"a/b","Tags":["v1","v2"],"Empty":[],"None":null,"Labels":{"x.y":"1","k":"<v>"},"Size":7,"created_by":"me","created":"2024-01-02T03:04:05.120Z","ExposedPorts":{"80/tcp":{}},"Layers":[{"Digest":"sha256:1"},{"Digest":"sha256:2"}]}',
);

// Each result is what Go's text/template prints for it.
for (const [template, expected] of [
  ['{{.Name}} {{.Size}}', 'a/b 7'],
  ['{{ .Tags }}|{{.Labels}}|{{.None}}', '[v1 v2]|map[k:<v> x.y:1]|<nil>'],
  ['{{range .Tags}}{{.}},{{end}}', 'v1,v2,'],
  ['{{range $i, $t := .Tags}}{{$i}}={{$t}} {{end}}', '0=v1 1=v2 '],
  ['{{range $t := .Tags}}{{$t}}/{{$.Name}} {{end}}', 'v1/a/b v2/a/b '],
  ['{{range $k, $v := .Labels}}{{$k}}:{{$v}};{{end}}', 'k:<v>;x.y:1;'],
  ['{{range .Empty}}x{{else}}none{{end}}', 'none'],
  ['{{range .Layers}}{{.Digest}}\n{{end}}', 'sha256:1\nsha256:2\n'],
  ['{{if .Empty}}a{{else if .Tags}}b{{else}}c{{end}}', 'b'],
  ['{{with .Labels}}{{.k}}{{end}}', '<v>'],
  ['{{json .Labels}}', '{"x.y":"1","k":"<v>"}'],
  ['{{index .Labels "x.y"}}{{index .Tags 1}}{{(index .Layers 0).Digest}}', '1v2sha256:1'],
  ['{{.Labels.missing}}', ''],
  ['{{join .Tags "+"}} {{.Name | upper | printf "%q"}}', 'v1+v2 "A/B"'],
  ['{{len .Tags}}{{println .Name "x"}}', '2a/b x\n'],
  ['{{printf "%-5s|%3d|%s%%" .Name 5 "x"}}', 'a/b  |  5|x%'],
  ['{{if and .Tags (not .Empty) (eq .Size 7)}}yes{{end}}', 'yes'],
  ['a {{- .Name -}} b', 'aa/bb'],
  ['{{/* nothing */}}{{"{{"}}', '{{'],
  ['{{$x := .Size}}{{$x}}', '7'],
  ['{{slice .Name 1}}{{slice .Tags 0 1}}{{if gt .Size 6}}{{if le .Name "b"}}!{{end}}{{end}}', '/b[v1]!'],
  // What JSON leaves out, or has as text, is a field of Go all the same.
  ['{{.Author}}|{{.EmptyLayer}}|{{.Cmd}}|{{.Volumes}}|{{if .Entrypoint}}x{{end}}', '|false|[]|map[]|'],
  ['{{.Created}}|{{json .Created}}|{{.ExposedPorts}}', '2024-01-02 03:04:05.12 +0000 UTC|"2024-01-02T03:04:05.120Z"|map[80/tcp:{}]'],
  ['{{.CreatedBy}}', 'me'], // a struct of Go has other names than its JSON
] as const) {
  test(`renderTemplate() makes ${JSON.stringify(expected)} of ${JSON.stringify(template)}`, () => {
    assert.equal(renderTemplate(template, value), expected);
  });
}

for (const [template, message] of [
  ['{{.Nmae}}', /there is no \.Nmae/],
  ['{{range .Tags}}x', /\{\{range\}\} has no \{\{end\}\}/],
  ['{{end}}', /\{\{end\}\} belongs to nothing/],
  ['{{.Name', /an action is not closed/],
  ['{{frob .Name}}', /there is no function "frob"/],
  ['{{.Name .Size}}', /a value stands where a function is expected/],
  ['{{index .Tags 9}}', /index 9 is out of range/],
  ['{{template "x"}}', /\{\{template\}\} is not supported/],
] as const) {
  test(`renderTemplate() refuses ${JSON.stringify(template)}`, () => {
    assert.throws(() => renderTemplate(template, value), { code: 'ERR_USAGE', message });
  });
}
