import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMount } from '../../../../src/build/instructions/mount.ts';
import { DockerfileError } from '../../../../src/errors.ts';

const range = { start: { line: 7, column: 5 }, end: { line: 7, column: 20 } };

function parse(value: string, workingDir = '/work'): ReturnType<typeof parseMount> {
  const expand = (word: string): string => word.replaceAll('$V', 'value');
  return parseMount({ name: 'mount', value, range }, expand, workingDir);
}

const cache = { uid: 0, gid: 0, mode: 0o755, from: undefined, source: '/', sharing: 'shared', isReadOnly: false, hasAttributes: false };
const secret = { uid: 0, gid: 0, mode: 0o400, isRequired: false, env: undefined };

const rows: readonly (readonly [value: string, mount: object])[] = [
  ['target=/x', { type: 'bind', target: '/x', source: '/', from: undefined, isReadOnly: true }],
  ['type=bind,dst=x,src=a/../b,from=stage,rw', { type: 'bind', target: '/work/x', source: '/b', from: 'stage', isReadOnly: false }],
  ['TYPE=BIND,Destination=/x,readonly=false', { type: 'bind', target: '/x', source: '/', from: undefined, isReadOnly: false }],
  ['ro,rw,target=/x', { type: 'bind', target: '/x', source: '/', from: undefined, isReadOnly: false }],
  ['rw,ro,target=/x', { type: 'bind', target: '/x', source: '/', from: undefined, isReadOnly: true }],
  ['source=../../etc/passwd,target=/x', { type: 'bind', target: '/x', source: '/etc/passwd', from: undefined, isReadOnly: true }],
  ['source=a', { type: 'bind', target: '/work', source: '/a', from: undefined, isReadOnly: true }],
  ['type=cache,target=/c/', { type: 'cache', target: '/c', id: '/c', ...cache }],
  ['type=cache,target=/$V,id=$V', { type: 'cache', target: '/value', id: 'value', ...cache }],
  [
    'type=cache,target=c,sharing=LOCKED,mode=0700,uid=1,gid=2,ro',
    {
      type: 'cache',
      target: '/work/c',
      id: '/work/c',
      ...cache,
      sharing: 'locked',
      mode: 0o700,
      uid: 1,
      gid: 2,
      isReadOnly: true,
      hasAttributes: true,
    },
  ],
  ['type=tmpfs,target=/t', { type: 'tmpfs', target: '/t', sizeBytes: undefined }],
  ['type=tmpfs,target=/t,size=64m', { type: 'tmpfs', target: '/t', sizeBytes: 67_108_864 }],
  ['type=tmpfs,target=/t,size=1.5GiB', { type: 'tmpfs', target: '/t', sizeBytes: 1_610_612_736 }],
  ['type=tmpfs,target=/t,size=100', { type: 'tmpfs', target: '/t', sizeBytes: 100 }],
  ['type=secret,id=a/b', { type: 'secret', id: 'a/b', target: '/run/secrets/b', ...secret }],
  ['type=secret,source=a', { type: 'secret', id: 'a', target: '/run/secrets/a', ...secret }],
  ['type=secret,target=/etc/key', { type: 'secret', id: 'key', target: '/etc/key', ...secret }],
  ['type=secret,id=a,env=A', { type: 'secret', id: 'a', target: undefined, ...secret, env: 'A' }],
  [
    'type=secret,id=a,env=A,target=/k,required=true,mode=0444',
    { type: 'secret', id: 'a', target: '/k', ...secret, env: 'A', isRequired: true, mode: 0o444 },
  ],
  ['type=ssh', { type: 'ssh', id: 'default', target: undefined, uid: 0, gid: 0, mode: 0o600, isRequired: false }],
  ['type=ssh,id=git,required,uid=5', { type: 'ssh', id: 'git', target: undefined, uid: 5, gid: 0, mode: 0o600, isRequired: true }],
  ['"target=/a,b",ro', { type: 'bind', target: '/a,b', source: '/', from: undefined, isReadOnly: true }],
  ['"target=/a""b"', { type: 'bind', target: '/a"b', source: '/', from: undefined, isReadOnly: true }],
];
for (const [value, mount] of rows) {
  test(`parseMount() reads ${value}`, () => {
    assert.deepEqual(parse(value), mount);
  });
}

const mistakes: readonly (readonly [value: string, message: RegExp, hint?: RegExp])[] = [
  ['type=cach,target=/x', /there is no mount type "cach"/, /did you mean cache/],
  ['taget=/x', /there is no key "taget"/, /did you mean target/],
  ['target', /"target" has no value/],
  ['target=/', /the target is the root itself/],
  ['target=..', /the target is the root itself/],
  ['type=bind,target=/x,uid=1', /a bind mount has no "uid"/],
  ['type=bind,target=/x,bind-propagation=shared', /there is no key "bind-propagation"/],
  ['type=tmpfs,target=/x,from=y', /a tmpfs mount has no "from"/],
  ['type=secret,id=a,from=b', /a secret mount has no "from"/],
  ['type=secret,id=a,sharing=shared', /a secret mount has no "sharing"/],
  ['type=ssh,source=a', /a ssh mount has no "source"/],
  ['type=bind,target=/x,required', /a bind mount has no "required"/],
  ['type=secret', /neither which secret nor where to/],
  ['type=secret,id=a,source=b', /only one of them can be given/],
  ['type=cache,target=/x,sharing=lockd', /there is no sharing "lockd"/, /did you mean locked/],
  ['type=cache,target=/x,mode=9', /"mode" is "9"/],
  ['type=cache,target=/x,mode=77777', /"mode" is "77777"/],
  ['type=cache,target=/x,uid=-1', /"uid" is "-1"/],
  ['type=cache,target=/x,uid=4294967295', /"uid" is "4294967295"/],
  ['type=tmpfs,target=/x,size=lots', /"lots" is no size/],
  ['target=/x,ro=maybe', /"readonly" is "maybe"/],
  ['from=$STAGE,target=/x', /variables are not expanded in "from"/],
  ['"target=/x', /a quoted field must end in a quote/],
  ['', /there is no key ""/],
];
for (const [value, message, hint] of mistakes) {
  test(`parseMount() refuses ${JSON.stringify(value)} where it stands`, () => {
    assert.throws(
      () => parse(value),
      (error) => {
        assert.ok(error instanceof DockerfileError, String(error));
        assert.match(error.message, message);
        assert.equal(error.range, range);
        if (hint !== undefined) assert.match(error.hint ?? '', hint);
        return true;
      },
    );
  });
}

test('parseMount() wants a target where there is no working directory to take its place', () => {
  assert.throws(() => parse('type=bind', '/'), /it has no target/);
});
