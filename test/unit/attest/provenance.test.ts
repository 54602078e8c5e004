// How an image came to be, in the words of SLSA, as BuildKit writes them.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Materials, imageUri } from '../../../src/attest/materials.ts';
import { type ProvenanceFacts, type ProvenanceRequest, provenance } from '../../../src/attest/provenance.ts';
import { attestationOf, describeAttestation } from '../../../src/attest/statement.ts';
import { formatJson } from '../../../src/oci/json.ts';
import type { Platform } from '../../../src/oci/platform.ts';
import { parseReference, withDefaultTag } from '../../../src/oci/reference.ts';

const amd64 = { os: 'linux', architecture: 'amd64' };
const arm64 = { os: 'linux', architecture: 'arm64' };
const hex = 'ab'.repeat(32);
const commit = 'cd'.repeat(20);

const facts: ProvenanceFacts = {
  builderPlatform: 'linux/amd64',
  run: { id: 'one', startedMs: 0, finishedMs: 1500 },
  dockerfile: { path: 'Dockerfile', text: 'FROM a\n' },
  args: new Map([
    ['target', 'app'],
    ['build-arg:TOKEN', 'hush'],
    ['label:a', 'hush'],
  ]),
  secrets: ['npm'],
  ssh: ['default'],
  materials: [{ uri: 'pkg:docker/a@latest?platform=linux%2Famd64', algorithm: 'sha256', hex }],
  hasNamedFolders: false,
  isHermetic: false,
};

const wanted: ProvenanceRequest = {
  mode: 'min',
  version: 'v1',
  builder: ['yadokari', '1.2.3'],
  builderId: 'https://ci.example/job/1',
  isReproducible: false,
  vcs: {},
};

function stated(more: Partial<ProvenanceRequest>, other: Partial<ProvenanceFacts> = {}): { readonly type: string; readonly json: unknown } {
  const { predicateType, predicate } = provenance({ ...facts, ...other }, { ...wanted, ...more });
  return { type: predicateType, json: JSON.parse(formatJson(predicate)) };
}

describe('provenance', () => {
  test('version 1 says what was asked for, what came from outside, and who built', () => {
    assert.deepEqual(stated({}), {
      type: 'https://slsa.dev/provenance/v1',
      json: {
        buildDefinition: {
          buildType: 'https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md',
          externalParameters: {
            configSource: { path: 'Dockerfile' },
            request: { frontend: 'dockerfile.v0', args: { target: 'app' }, locals: [{ name: 'context' }, { name: 'dockerfile' }] },
          },
          internalParameters: { builderPlatform: 'linux/amd64' },
          resolvedDependencies: [{ uri: 'pkg:docker/a@latest?platform=linux%2Famd64', digest: { sha256: hex } }],
        },
        runDetails: {
          builder: { id: 'https://ci.example/job/1', version: { yadokari: '1.2.3' } },
          metadata: {
            invocationId: 'one',
            startedOn: '1970-01-01T00:00:00.000Z',
            finishedOn: '1970-01-01T00:00:01.500Z',
            buildkit_hermetic: false,
            buildkit_reproducible: false,
            buildkit_completeness: { request: false, resolvedDependencies: false },
          },
        },
      },
    });
  });

  test('mode=min holds no value of a build argument, label or Dockerfile, and no name of a secret', () => {
    for (const version of ['v1', 'v0.2'] as const) {
      const text = JSON.stringify(stated({ version }).json);
      for (const hidden of ['hush', 'TOKEN', 'npm', 'RlJPTSBhCg==']) assert.ok(!text.includes(hidden), hidden);
    }
  });

  test('mode=max holds them, and secrets by their names alone', () => {
    const text = JSON.stringify(stated({ mode: 'max' }).json);
    assert.match(text, /"args":\{"build-arg:TOKEN":"hush","label:a":"hush","target":"app"\}/);
    assert.match(text, /"secrets":\[\{"id":"npm"\}\],"ssh":\[\{"id":"default"\}\]/);
    assert.match(text, /"filename":"Dockerfile","language":"Dockerfile","data":"RlJPTSBhCg=="/);
    assert.match(text, /"buildkit_completeness":\{"request":true/);
  });

  test('version 0.2 has the same in its own places', () => {
    const { type, json } = stated({ version: 'v0.2', vcs: { source: 'https://git.example/app', revision: commit } });
    assert.equal(type, 'https://slsa.dev/provenance/v0.2');
    assert.deepEqual(json, {
      builder: { id: 'https://ci.example/job/1' },
      buildType: 'https://mobyproject.org/buildkit@v1',
      materials: [{ uri: 'pkg:docker/a@latest?platform=linux%2Famd64', digest: { sha256: hex } }],
      invocation: {
        configSource: { entryPoint: 'Dockerfile' },
        parameters: { frontend: 'dockerfile.v0', args: { target: 'app' }, locals: [{ name: 'context' }, { name: 'dockerfile' }] },
        environment: { platform: 'linux/amd64' },
      },
      metadata: {
        buildInvocationID: 'one',
        buildStartedOn: '1970-01-01T00:00:00.000Z',
        buildFinishedOn: '1970-01-01T00:00:01.500Z',
        completeness: { parameters: false, environment: true, materials: false },
        reproducible: false,
        'https://mobyproject.org/buildkit@v1#hermetic': false,
        'https://mobyproject.org/buildkit@v1#metadata': { vcs: { source: 'https://git.example/app', revision: commit } },
      },
    });
  });

  test('a repository as the context is the source, and then all that went in is known where nothing ran', () => {
    const source = { uri: 'https://git.example/app.git#refs/heads/main', algorithm: 'sha1', hex: commit } as const;
    const { json } = stated({ version: 'v0.2' }, { source, isHermetic: true });
    const text = JSON.stringify(json);
    assert.match(
      text,
      new RegExp(`"configSource":\\{"uri":"${source.uri}","digest":\\{"sha1":"${commit}"\\},"entryPoint":"Dockerfile"\\}`),
    );
    assert.match(text, /"locals":\[\]/);
    assert.match(text, /"materials":true\}/);
    const mixed = stated({ version: 'v0.2' }, { source, hasNamedFolders: true, isHermetic: true });
    assert.match(JSON.stringify(mixed.json), /"materials":false\}/);
  });

  test('a build that shall give the same bytes again says nothing of the clock', () => {
    for (const version of ['v1', 'v0.2'] as const) {
      const { run: _run, ...timeless } = facts;
      const text = formatJson(provenance(timeless, { ...wanted, version }).predicate);
      assert.doesNotMatch(text, /invocation[iI][dD]|InvocationID|1970/);
    }
  });
});

describe('materials', () => {
  const cases = [
    ['debian', 'pkg:docker/debian@latest?platform=linux%2Famd64'],
    ['docker.io/team/app:1.0', 'pkg:docker/team/app@1.0?platform=linux%2Famd64'],
    ['localhost:5000/a/b:c', 'pkg:docker/localhost:5000/a/b@c?platform=linux%2Famd64'],
    [`quay.io/a/b@sha256:${hex}`, `pkg:docker/quay.io/a/b?digest=sha256:${hex}&platform=linux%2Famd64`],
    [`quay.io/a/b:1@sha256:${hex}`, `pkg:docker/quay.io/a/b@1?digest=sha256:${hex}&platform=linux%2Famd64`],
  ] as const;
  for (const [name, uri] of cases)
    test(`the package URL of ${name.slice(0, 30)} is that which BuildKit gives it`, () => {
      assert.equal(imageUri(withDefaultTag(parseReference(name)), amd64), uri);
    });

  test('each is told once, in an order that does not depend on who came first', () => {
    const [one, other] = [new Materials(), new Materials()];
    one.noteContent('https://b.example/f', `sha512:${'0'.repeat(128)}`);
    one.noteCommit('https://a.example/r', { ref: 'v1' }, commit);
    one.noteCommit('https://a.example/r', { ref: 'v1' }, commit);
    other.noteCommit('https://a.example/r', { ref: 'v1' }, commit);
    other.noteContent('https://b.example/f', `sha512:${'0'.repeat(128)}`);
    assert.deepEqual(one.list(), other.list());
    assert.deepEqual(
      one.list().map(({ uri, algorithm }) => [uri, algorithm]),
      [
        ['https://a.example/r#v1', 'sha1'],
        ['https://b.example/f', 'sha512'],
      ],
    );
  });

  test('images are told by the names that asked for them, and each of several images has its own', () => {
    const materials = new Materials();
    const note = (platform: Platform): void =>
      materials.noteImage('base', platform, { uri: imageUri(parseReference('base'), platform), digest: `sha256:${hex}` });
    materials.noteContent('https://a.example/context.tar', `sha256:${hex}`);
    materials.endSource();
    materials.turnTo(amd64);
    materials.askFor('base', amd64);
    note(amd64);
    materials.turnTo(arm64);
    materials.askFor('base', arm64);
    note(arm64);
    // Known by then, and not fetched again.
    materials.askFor('base', amd64);
    materials.noteContent('https://a.example/arm64', `sha256:${hex}`);
    const [context, own, other] = [
      'https://a.example/context.tar',
      ...['amd64', 'arm64'].map((name) => `pkg:docker/base@latest?platform=linux%2F${name}`),
    ];
    assert.deepEqual(
      materials.list().map(({ uri }) => uri),
      ['https://a.example/arm64', context, own, other],
    );
    materials.turnTo(amd64);
    assert.deepEqual(
      materials.list().map(({ uri }) => uri),
      [context, own],
    );
  });

  test('a commit is told with the branch and the folder that were asked for', () => {
    const cases = [
      [{}, ''],
      [{ ref: 'v1' }, '#v1'],
      [{ ref: 'v1', folder: 'sub/app' }, '#v1:sub/app'],
      [{ folder: 'sub' }, '#:sub'],
    ] as const;
    for (const [asked, fragment] of cases) {
      const materials = new Materials();
      materials.noteCommit('https://a.example/r', asked, commit);
      assert.equal(materials.list()[0]?.uri, `https://a.example/r${fragment}`);
    }
  });

  test('the source is what had come before the context ended, and not what ADD fetches later', () => {
    const [local, remote] = [new Materials(), new Materials()];
    local.endSource();
    local.noteCommit('https://a.example/r', {}, commit);
    assert.equal(local.source, undefined);
    remote.noteCommit('https://a.example/r', {}, commit);
    remote.endSource();
    assert.deepEqual(remote.source, { uri: 'https://a.example/r', algorithm: 'sha1', hex: commit });
  });
});

describe('a statement', () => {
  const digest = `sha256:${hex}` as const;
  const attestation = attestationOf([{ predicateType: 'https://p.example', predicate: new Map([['a', 1]]) }], { digest, names: [] });

  test('is stored as an image is, for a platform that nobody has', () => {
    assert.match(attestation.config.bytes.toString(), /^\{"architecture":"unknown","os":"unknown","config":\{\}/);
    const [layer] = attestation.image.layers;
    assert.equal(layer?.descriptor.mediaType, 'application/vnd.in-toto+json');
    assert.deepEqual([...(layer?.descriptor.annotations ?? [])], [['in-toto.io/predicate-type', 'https://p.example']]);
    assert.equal(layer?.diffId, layer?.descriptor.digest);
  });

  test('names its subject by digest, by "_" where it has no name', async () => {
    const chunks = await attestation.image.layers[0]?.open(new AbortController().signal).toArray();
    assert.deepEqual(JSON.parse(Buffer.concat(chunks ?? []).toString()), {
      _type: 'https://in-toto.io/Statement/v0.1',
      predicateType: 'https://p.example',
      subject: [{ name: '_', digest: { sha256: hex } }],
      predicate: { a: 1 },
    });
  });

  test('has an entry in the index that says what it is about', () => {
    const { platform, annotations } = describeAttestation(attestation, digest);
    assert.deepEqual(platform, { os: 'unknown', architecture: 'unknown' });
    assert.deepEqual(
      [...(annotations ?? [])],
      [
        ['vnd.docker.reference.digest', digest],
        ['vnd.docker.reference.type', 'attestation-manifest'],
      ],
    );
  });
});
