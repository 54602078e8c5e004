// Mistakes that only show while a step runs are told like those of the parser: file, line, column, the line itself, a caret.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { serveFiles } from '../../support/http-files.ts';
import { sandboxBuilds, sandboxMissing, type SandboxBuilds } from '../../support/sandbox-build.ts';

const rows: readonly { readonly name: string; readonly dockerfile: string; readonly status?: number; readonly lines: readonly string[] }[] =
  [
    {
      name: 'a message of ${name:?message}',
      dockerfile: 'FROM base\nENV A="${version:?give a version}"\n',
      lines: ['error: Cannot expand', 'version: give a version', '  ┌─ Dockerfile:2:1', '2 │ ENV A='],
    },
    {
      name: 'a mode that is none',
      dockerfile: 'FROM base\nCOPY --chmod=99x file /f\n',
      lines: ["error: Cannot apply --chmod='99x'", '  ┌─ Dockerfile:2:1 (step 1/1)', '2 │ COPY --chmod=99x file /f', '  │ ^^^^'],
    },
    {
      name: 'a source that is missing, with the name that is nearest',
      dockerfile: 'FROM base\nCOPY fil /f\n',
      lines: ["error: Cannot copy 'fil'", '  ┌─ Dockerfile:2:6 (step 1/1)', '2 │ COPY fil /f', '  │      ^^^', "try: did you mean 'file'?"],
    },
    {
      name: 'a source that is left out by .dockerignore',
      dockerfile: 'FROM base\nCOPY left.out /f\n',
      lines: ["error: Cannot copy 'left.out'", '  ┌─ Dockerfile:2:6 (step 1/1)', '.dockerignore:2'],
    },
    {
      name: 'a user that the image has not',
      dockerfile: 'FROM base\nUSER nobodyx\nRUN true\n',
      lines: ['error: Cannot find user "nobodyx"', '  ┌─ Dockerfile:3:1', '3 │ RUN true', '  │ ^^^^^^^^'],
    },
    {
      name: 'a command that fails, whose status is the exit status',
      dockerfile: 'FROM base\n\nRUN echo one && \\\n    exit 9\n',
      status: 9,
      lines: ['failed with exit code 9', '  ┌─ Dockerfile:3:1 (step 1/1)', '3 │ RUN echo one && \\', '4 │     exit 9'],
    },
    {
      name: 'an image name that can not be',
      dockerfile: 'FROM UPPER:$tag\n',
      lines: ['error: Cannot', '  ┌─ Dockerfile:1:6', '1 │ FROM UPPER:$tag'],
    },
  ];

describe('failures of a build', { skip: sandboxMissing, timeout: 300_000 }, () => {
  let builds: SandboxBuilds;
  before(() => {
    builds = sandboxBuilds();
    builds.write('file', 'context\n');
    builds.write('left.out', 'secret\n');
    builds.write('.dockerignore', '# not for images\nleft.*\n');
  });
  after(() => builds.remove());

  test('quote the FROM whose image a registry has not', async () => {
    const registry = await serveFiles(new Date(0).toUTCString());
    try {
      const host = registry.origin.replace('http://', '');
      const { status, output } = await builds.build(`FROM base\nFROM ${host}/no/such:1\nRUN true\n`, [`--insecure-registry=${host}`]);
      assert.equal(status, 1, output);
      for (const line of [`error: Cannot pull ${host}/no/such:1`, '  ┌─ Dockerfile:2:6', '  │      ^^^'])
        assert.ok(output.includes(line), output);
    } finally {
      await registry.stop();
    }
  });

  for (const row of rows) {
    test(`quote the line of ${row.name}`, async () => {
      const { status, output } = await builds.build(row.dockerfile);
      assert.equal(status, row.status ?? 1, output);
      for (const line of row.lines) assert.ok(output.includes(line), `${line} is not in\n${output}`);
    });
  }
});
