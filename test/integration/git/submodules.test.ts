// Submodules: relative and absolute ones, in each other, kept out, and those that a hostile repository names.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, after, before, test } from 'node:test';
import { prepareGit } from '../../../src/surroundings/git-access.ts';
import { bytesFromText, textFromBytes } from '../../../src/bytes.ts';
import { lookupWith, namesFromTable } from '../../../src/registry/names.ts';
import { git, type GitServer, startGitServer } from '../../support/git-server.ts';
import { testClient, type TestClient } from '../../support/registry-client.ts';
import { temporaryFolder } from '../../support/tree.ts';

let server: GitServer;
let other: GitServer;
let client: TestClient;

before(async () => {
  [server, other] = await Promise.all([startGitServer({ login: 'x-access-token:top' }), startGitServer()]);
  client = testClient();
});

after(async () => {
  await client?.close();
  await Promise.all([server, other].map((one) => one?.stop()));
});

/** Makes `name` on a server: files, and gitlinks with their commits. */
function repository(
  on: GitServer,
  name: string,
  files: Readonly<Record<string, string>>,
  links: Readonly<Record<string, string>> = {},
): string {
  const work = mkdtempSync(join(on.folder, 'work-'));
  git(work, 'init', '-q');
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(work, path, '..'), { recursive: true });
    writeFileSync(join(work, path), content);
  }
  git(work, 'add', '-A');
  for (const [path, commit] of Object.entries(links)) git(work, 'update-index', '--add', '--cacheinfo', `160000,${commit},${path}`);
  git(work, 'commit', '-q', '-m', name);
  mkdirSync(join(on.folder, name, '..'), { recursive: true });
  git(on.folder, 'clone', '-q', '--bare', work, name);
  return git(work, 'rev-parse', 'HEAD');
}

function section(name: string, path: string, url: string, more = ''): string {
  return `[submodule "${name}"]\n\tpath = ${path}\n\turl = ${url}\n${more}`;
}

async function add(
  context: TestContext,
  place: string,
  secrets: Readonly<Record<string, string>> = { GIT_AUTH_TOKEN: 'top' },
  keepsGitFolder = false,
) {
  const access = prepareGit({
    env: {},
    buildArgs: new Map(),
    secrets: new Map(Object.entries(secrets).map(([id, value]) => [id, Buffer.from(value)])),
    ssh: new Map(),
    exchange: client.exchange,
    lookup: lookupWith(namesFromTable(new Map())),
    privateFolder: temporaryFolder(context),
    emit: (event) => client.events.push(event),
  });
  context.after(access.close);
  return textFromBytes(
    (await access.add({ repository: place, keepsGitFolder }, new AbortController().signal)).files.folder ?? bytesFromText('/nowhere'),
  );
}

test('relative and absolute submodules are checked out, each in each, and git finds the whole clean', async (context) => {
  const leaf = repository(other, 'leaf.git', { leaf: 'leaf\n' });
  const inner = repository(
    server,
    'group/inner.git',
    { '.gitmodules': section('leaf', 'sub/leaf', `${other.origin}/leaf.git`), inner: 'inner\n' },
    { 'sub/leaf': leaf },
  );
  const modules = `# what we use\n${section('i', '"inner"', '../group/inner.git ; beside', '\tbranch = main\n')}`;
  repository(server, 'top/outer.git', { '.gitmodules': modules.replace('../group', '../../group'), outer: 'outer\n' }, { inner });
  const folder = await add(context, `${server.origin}/top/outer.git`, { GIT_AUTH_TOKEN: 'top' }, true);
  assert.equal(readFileSync(join(folder, 'inner/sub/leaf/leaf'), 'utf8'), 'leaf\n');
  assert.equal(git(folder, 'status', '--porcelain'), '');
  assert.ok(
    other.requests.every((request) => request.endsWith(' -')),
    "the top repository's token went to another server",
  );
  assert.ok(
    server.requests.every((request) => request.includes(' Basic ')),
    'a submodule on the same server was asked for without the token',
  );
});

test('submodules=false and update=none leave empty folders', async (context) => {
  const leaf = repository(other, 'plain-leaf.git', { leaf: '' });
  const url = `${other.origin}/plain-leaf.git`;
  repository(
    other,
    'plain.git',
    { '.gitmodules': section('a', 'a', url, '\tupdate = none\n') + section('b', 'b', url) },
    { a: leaf, b: leaf },
  );
  const whole = await add(context, `${other.origin}/plain.git`);
  assert.deepEqual([readdirSync(join(whole, 'a')), readdirSync(join(whole, 'b'))], [[], ['leaf']]);
  assert.deepEqual(readdirSync(join(await add(context, `${other.origin}/plain.git?submodules=false`), 'b')), []);
});

for (const [index, row] of [
  { name: 'a submodule from a local path', url: '/etc', code: 'ERR_CONTEXT', says: /neither a URL nor user@host:path/ },
  { name: 'a submodule from file://', url: 'file:///etc', code: 'ERR_UNSUPPORTED', says: /file is no protocol/ },
  { name: 'a submodule from ext::', url: 'ext::sh -c touch% /tmp/x', code: 'ERR_CONTEXT', says: /white space/ },
  { name: 'a submodule from ext:: in one word', url: 'ext::touch', code: 'ERR_UNSUPPORTED', says: /ext is no protocol/ },
  { name: 'a submodule that could be an option', url: '-uroot:path', code: 'ERR_CONTEXT', says: /neither a URL|no host/ },
  { name: 'a submodule above the server', url: '../../../x.git', code: 'ERR_UNSAFE_PATH', says: /above the server/ },
].entries()) {
  test(`${row.name} is refused, and the message says which`, async (context) => {
    const some = '1'.repeat(40);
    repository(other, `hostile-${index}.git`, { '.gitmodules': section('x', 'sub', row.url) }, { sub: some });
    await assert.rejects(add(context, `${other.origin}/hostile-${index}.git`), (error: unknown) => {
      assert.ok(error instanceof Error && 'code' in error);
      assert.equal(error.code, row.code);
      assert.match(error.message, /Cannot check out submodule sub of http/);
      assert.match(error.message, row.says);
      return true;
    });
  });
}

test('a submodule that .gitmodules does not name is refused', async (context) => {
  repository(other, 'unnamed.git', { file: '' }, { sub: '1'.repeat(40) });
  await assert.rejects(add(context, `${other.origin}/unnamed.git`), { code: 'ERR_CONTEXT', message: /does not name it/ });
});

test('a repository that contains itself ends after eight', async (context) => {
  // A commit can't name itself, so the chain is built from its end.
  let commit = repository(other, 'deep/0.git', { end: '' });
  for (let level = 1; level <= 9; level += 1) {
    commit = repository(other, `deep/${level}.git`, { '.gitmodules': section('s', 's', `../${level - 1}.git`) }, { s: commit });
  }
  assert.ok(existsSync(join(await add(context, `${other.origin}/deep/8.git`), 's/s/s/s/s/s/s/s/end')));
  await assert.rejects(add(context, `${other.origin}/deep/9.git`), { code: 'ERR_CONTEXT', message: /more than 8 are in each other/ });
});
