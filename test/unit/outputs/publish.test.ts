import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parseReference } from '../../../src/oci/reference.ts';
import type { OutputRequest } from '../../../src/outputs/output-request.ts';
import { openResultFiles, publishImage } from '../../../src/outputs/publish.ts';
import { startFakeRegistry } from '../../support/fake-registry.ts';
import { layerOf, storedOf } from '../../support/image.ts';
import { testClient } from '../../support/registry-client.ts';
import { temporaryFolder } from '../../support/tree.ts';
import { listen } from '../../support/listen.ts';

const { signal } = new AbortController();
const image = storedOf(layerOf(Buffer.from('x')));
const { digest } = image.manifest;
const nowhere: OutputRequest = {
  destinations: [],
  noPush: true,
  exports: [],
  skipPushPermissionCheck: true,
  ignoreImmutableTags: false,
  pushRetries: 0,
};

async function publish(output: OutputRequest): Promise<void> {
  await using registry = testClient({ hostRules: () => ({ insecure: true }) });
  const results = await openResultFiles(output, { registry, signal });
  await publishImage(image, output, { registry, results, emit: () => undefined, signal });
  for (const file of results.values()) await file.close();
}

interface Sent {
  readonly line: string;
  readonly type: string | undefined;
  readonly authorization: string | undefined;
  readonly body: string;
}

/** A server that takes what is put there, and answers with `status`. */
async function startTaker(context: TestContext, status: number): Promise<{ readonly host: string; readonly sent: Sent[] }> {
  const sent: Sent[] = [];
  const take = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { authorization, 'content-type': type } = request.headers;
    const body = (await buffer(request)).toString();
    sent.push({ line: `${request.method ?? ''} ${request.url ?? ''}`, type, authorization, body });
    response.writeHead(status).end();
  };
  const server = createServer((request, response) => void take(request, response));
  const port = await listen(server);
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { host: `127.0.0.1:${port}`, sent };
}

test('all result files are written at once, to files and by PUT, each with what it is for', async (context) => {
  const folder = temporaryFolder(context);
  const registry = await startFakeRegistry();
  context.after(registry.stop);
  const { host, sent } = await startTaker(context, 201);
  await publish({
    ...nowhere,
    noPush: false,
    destinations: [parseReference(`${registry.host}/a:1`), parseReference(`${registry.host}/b:2`)],
    digestFile: `http://me:word@${host}/digest?sig=s`,
    imageNameWithDigestFile: `http://${host}/names`,
    imageNameTagWithDigestFile: join(folder, 'tags'),
    builderOutput: join(folder, 'out/images'),
  });
  const basic = `Basic ${Buffer.from('me:word').toString('base64')}`;
  assert.deepEqual(sent, [
    { line: 'PUT /digest?sig=s', type: 'text/plain', authorization: basic, body: digest },
    {
      line: 'PUT /names',
      type: 'text/plain',
      authorization: undefined,
      body: `${registry.host}/a@${digest}\n${registry.host}/b@${digest}\n`,
    },
  ]);
  assert.equal(readFileSync(join(folder, 'tags'), 'utf8'), `${registry.host}/a:1@${digest}\n${registry.host}/b:2@${digest}\n`);
  const lines = ['a:1', 'b:2'].map((name) => `${JSON.stringify({ name: `${registry.host}/${name}`, digest })}\n`);
  assert.equal(readFileSync(join(folder, 'out/images'), 'utf8'), lines.join(''));
});

test('an image that is not pushed is not in BUILDER_OUTPUT', async (context) => {
  const folder = temporaryFolder(context);
  await publish({ ...nowhere, destinations: [parseReference('registry.example/a:1')], builderOutput: join(folder, 'images') });
  assert.throws(() => readFileSync(join(folder, 'images')), { code: 'ENOENT' });
});

test('who refuses a result file is named, without the secrets of its URL', async (context) => {
  const { host } = await startTaker(context, 403);
  await assert.rejects(publish({ ...nowhere, digestFile: `http://me:word@${host}/digest?sig=secret` }), {
    message: `Cannot write --digest-file to http://${host}/digest?sig=…: ${host} answered 403`,
  });
});

test('what could not be written is named before anything is done', async (context) => {
  const folder = temporaryFolder(context);
  writeFileSync(join(folder, 'file'), '');
  await using registry = testClient();
  const open = async (output: Partial<OutputRequest>) => await openResultFiles({ ...nowhere, ...output }, { registry, signal });
  const below = join(folder, 'file/below');
  await assert.rejects(open({ digestFile: below }), {
    code: 'ERR_USAGE',
    message: `Cannot write --digest-file ${below}: ${folder}/file is not a directory`,
  });
  await assert.rejects(open({ tarPath: below }), { message: `Cannot write --tar-path ${below}: ${folder}/file is not a directory` });
  await assert.rejects(open({ tarPath: folder }), { message: `Cannot write --tar-path ${folder}: it is a directory` });
  await assert.rejects(open({ ociLayoutPath: join(folder, 'file') }), { message: /Cannot write --oci-layout-path .*: it is a file/ });
  await assert.rejects(open({ digestFile: 'https://[' }), { message: 'Cannot use --digest-file: its URL is malformed' });
});
