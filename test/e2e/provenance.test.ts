// What a build states beside its image: found by others, true of what went in, and the same again where the image is.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { digestOf } from '../../src/oci/digest.ts';
import { must } from '../support/command.ts';
import { git, startGitServer } from '../support/git-server.ts';
import { type HttpFiles, serveFiles } from '../support/http-files.ts';
import { asList, asObject, asText } from '../support/parsed.ts';
import { manifestTypes } from '../support/registry-image.ts';
import { Scene } from '../support/scene.ts';

const noSkopeo = existsSync('/usr/bin/skopeo') ? false : 'skopeo is not installed';

describe('provenance', () => {
  let scene: Scene;
  let web: HttpFiles;
  before(async () => {
    scene = await Scene.start();
    web = await serveFiles(new Date(0).toUTCString());
    web.add('/tool', Buffer.from('tool\n'));
  });
  after(async () => {
    await web?.stop();
    await scene?.stop();
  });

  const fetchText = async (path: string): Promise<string> =>
    await (await fetch(`http://${scene.registry.host}/v2/${path}`, { headers: { accept: manifestTypes } })).text();

  /** The index of a repository's `latest`, its image's digest, and what is stated of that. */
  const statedOf = async (repository: string): Promise<{ index: string; image: string; statement: Record<string, unknown> }> => {
    const index = await fetchText(`${repository}/manifests/latest`);
    const [image, attestation] = asList(asObject(JSON.parse(index))['manifests']).map((entry) => asObject(entry));
    assert.deepEqual(attestation?.['platform'], { architecture: 'unknown', os: 'unknown' });
    assert.deepEqual(attestation['annotations'], {
      'vnd.docker.reference.digest': image?.['digest'],
      'vnd.docker.reference.type': 'attestation-manifest',
    });
    const manifest = asObject(JSON.parse(await fetchText(`${repository}/manifests/${asText(attestation['digest'])}`)));
    const [layer] = asList(manifest['layers']).map((entry) => asObject(entry));
    const statement = asObject(JSON.parse(await fetchText(`${repository}/blobs/${asText(layer?.['digest'])}`)));
    return { index, image: asText(image?.['digest']), statement };
  };

  test('names base and downloads by digest, and engines find the image beside it', { skip: noSkopeo }, async () => {
    const repository = 'stated/app';
    const address = new URL('/tool?token=hush', web.origin);
    const dockerfile = `FROM @REG@/base\nARG SECRET\nADD ${address.href} /tool\nRUN cat /tool\n`;
    const { status, output } = await scene.build({ dockerfile, repository, args: ['--provenance=true', '--build-arg=SECRET=hush'] });
    assert.equal(status, 0, output);
    const { index, image, statement } = await statedOf(repository);
    assert.match(output, new RegExp(`digest ${digestOf(index)}`));
    assert.deepEqual(statement['subject'], [
      { name: `pkg:docker/${scene.registry.host}/${repository}@latest?platform=linux%2Famd64`, digest: { sha256: image.slice(7) } },
    ]);
    const base = digestOf(await fetchText('base/manifests/latest'));
    assert.deepEqual(asObject(asObject(statement['predicate'])['buildDefinition'])['resolvedDependencies'], [
      { uri: `${address.origin}/tool?token=…`, digest: { sha256: digestOf(Buffer.from('tool\n')).slice(7) } },
      { uri: `pkg:docker/${scene.registry.host}/base@latest?platform=linux%2Famd64`, digest: { sha256: base.slice(7) } },
    ]);
    assert.ok(!JSON.stringify(statement).includes('hush'));
    const inspected = await must(['skopeo', 'inspect', '--tls-verify=false', `docker://${scene.registry.host}/${repository}`]);
    assert.match(inspected, /"Architecture": "amd64"/);
  });

  test('names the commit and folder of a git context, and for each platform what went into its image', async (context) => {
    const server = await startGitServer({ login: 'x-access-token:canary' });
    context.after(server.stop);
    const work = await scene.folder({
      'sub/Dockerfile': `FROM --platform=$BUILDPLATFORM ${scene.registry.host}/base AS tools\nCOPY Dockerfile /x\nFROM scratch\nARG TARGETARCH\nCOPY --from=tools /x /x\nADD ${web.origin}/$TARGETARCH /y\n`,
    });
    for (const name of ['amd64', 'arm64']) web.add(`/${name}`, name);
    git(work, 'init', '-q');
    git(work, 'add', '-A');
    git(work, 'commit', '-q', '-m', 'one');
    git(server.folder, 'clone', '-q', '--bare', work, 'app.git');
    const to = `${scene.registry.host}/stated/git`;
    const { status, output } = await scene.run({
      args: [
        `--context=${server.origin}/app.git#main:sub`,
        `--destination=${to}:latest`,
        `--destination=${to}/two:2`,
        '--platform=linux/amd64,linux/arm64',
        '--provenance=mode=max',
        '--insecure',
        '--insecure-pull',
      ],
      env: { GIT_USERNAME: 'x-access-token', GIT_PASSWORD: 'canary' },
    });
    assert.equal(status, 0, output);
    const index = asObject(JSON.parse(await fetchText('stated/git/manifests/latest')));
    const [, , ...attestations] = asList(index['manifests']).map((entry) => asText(asObject(entry)['digest']));
    assert.equal(attestations.length, 2);
    for (const [position, arch] of ['amd64', 'arm64'].entries()) {
      const manifest = asObject(JSON.parse(await fetchText(`stated/git/manifests/${attestations[position]}`)));
      const [layer] = asList(manifest['layers']).map((entry) => asObject(entry));
      const text = await fetchText(`stated/git/blobs/${asText(layer?.['digest'])}`);
      assert.ok(!text.includes('canary'));
      const { subject, predicate } = JSON.parse(text);
      assert.deepEqual(
        subject.map(({ name }: { name: string }) => name),
        ['@latest', '/two@2'].map((rest) => `pkg:docker/${to}${rest}?platform=linux%2F${arch}`),
      );
      const source = { uri: `${server.origin}/app.git#main:sub`, digest: { sha1: git(work, 'rev-parse', 'HEAD') } };
      const { externalParameters, resolvedDependencies } = predicate.buildDefinition;
      assert.deepEqual(externalParameters.configSource, { ...source, path: 'Dockerfile' });
      const base = `pkg:docker/${scene.registry.host}/base@latest?platform=linux%2Famd64`;
      assert.deepEqual(
        new Set(resolvedDependencies.map(({ uri }: { uri: string }) => uri)),
        new Set([source.uri, `${web.origin}/${arch}`, base]),
      );
    }
  });

  test('is the same again where the image is, also when a cache has the steps', async () => {
    const dockerfile = `FROM @REG@/base\nADD --checksum=${digestOf(Buffer.from('tool\n'))} ${new URL('/tool', web.origin).href} /tool\nRUN cat /tool\n`;
    const cache = ['--cache', '--cache-copy-layers', `--cache-repo=${scene.registry.host}/stated/cache`];
    const texts: string[] = [];
    for (const repository of ['stated/one', 'stated/two']) {
      const { status, output } = await scene.build({
        dockerfile,
        repository,
        args: ['--provenance=mode=max', '--reproducible', '--label=to=same', ...cache],
      });
      assert.equal(status, 0, output);
      const { statement } = await statedOf(repository);
      texts.push(JSON.stringify(statement['predicate']));
      assert.match(texts.at(-1) ?? '', /"uri":"http:[^"]*\/tool","digest"/);
    }
    assert.equal(texts[0], texts[1]);
  });
});
