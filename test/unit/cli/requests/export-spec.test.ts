import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatExport, parseExport } from '../../../../src/cli/requests/export-spec.ts';

const specs = [
  { text: 'out', type: 'local', path: '/w/out', whole: 'type=local,dest=/w/out' },
  { text: '-', type: 'tar', path: '/dev/stdout', whole: 'type=tar,dest=-' },
  { text: 'type=local,dest=/a/b', type: 'local', path: '/a/b', whole: 'type=local,dest=/a/b' },
  { text: 'dest=x.tar,type=tar', type: 'tar', path: '/w/x.tar', whole: 'type=tar,dest=/w/x.tar' },
  { text: 'type=oci', type: 'oci', path: '/dev/stdout', whole: 'type=oci,dest=-' },
  { text: 'type=oci,tar=false,dest=layout', type: 'layout', path: '/w/layout', whole: 'type=oci,tar=false,dest=/w/layout' },
  { text: 'TYPE=docker,dest=-', type: 'docker', path: '/dev/stdout', whole: 'type=docker,dest=-' },
  { text: 'type=tar,"dest=a,""b"""', type: 'tar', path: '/w/a,"b"', whole: 'type=tar,"dest=/w/a,""b"""' },
] as const;
for (const { text, type, path, whole } of specs) {
  test(`--output ${text} is ${whole}`, () => {
    const spec = parseExport(text, '/w');
    assert.deepEqual(spec, { type, path });
    assert.equal(formatExport(spec), whole);
    assert.deepEqual(parseExport(whole, '/elsewhere'), spec);
  });
}

const refused = [
  ['type=local', /it needs a folder/],
  ['dest=x,tar=true', /it has no type/],
  ['type=docker', /a build loads into no engine/],
  ['type=cacheonly', /there is no type cacheonly/],
  ['type=zip,dest=x', /there is no type zip/],
  ['type=tar,tar=false,dest=x', /tar=false is for type=oci/],
  ['type=oci,tar=false', /it needs a folder/],
  ['type=local,dest=/', /this machine's own files/],
  ['type=tar,x', /"x" is not KEY=VALUE/],
  ['type=tar,"dest', /its quotes do not match/],
] as const;
for (const [text, message] of refused) {
  test(`--output ${text} is refused by name`, () => {
    assert.throws(() => parseExport(text, '/w'), { code: 'ERR_USAGE', message });
  });
}

test("parseExport() names the setting of buildx's that it has not", () => {
  assert.throws(() => parseExport('type=oci,dest=x,compression=zstd', '/w'), {
    code: 'ERR_UNSUPPORTED',
    message: /there is no compression here/,
  });
});
