// What of a Dockerfile shows that a RUN needs the image's files where a context is that can't be moved.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refuseWorkInContexts } from '../../../src/build/context-work.ts';
import { bytesFromText } from '../../../src/bytes.ts';
import { parseDockerfile } from '../../../src/dockerfile/parse.ts';
import type { PlannedStage } from '../../../src/dockerfile/stages.ts';
import { BuilderError } from '../../../src/errors.ts';

/** The line that is refused, of a Dockerfile whose base images work in `workingDir`. */
function refusedLine(text: string, workingDir = '/'): number | undefined {
  const { stages } = parseDockerfile(Buffer.from(text), 'Dockerfile');
  const planned = stages.map((stage): PlannedStage => {
    const index = stages.findIndex(({ name }) => name === stage.from.image);
    return { stage, base: index === -1 ? { kind: 'image', image: stage.from.image } : { kind: 'stage', index } } as PlannedStage; // no more is read
  });
  const folder = {
    path: bytesFromText('workspace'),
    error: (range?: BuilderError['range']) => new BuilderError('ERR_CONTEXT', 'Cannot run there', range === undefined ? {} : { range }),
  };
  try {
    refuseWorkInContexts(planned, () => workingDir, [folder]);
    return undefined;
  } catch (error) {
    return error instanceof BuilderError ? error.range?.start.line : -1;
  }
}

for (const [title, text, line] of [
  ['a WORKDIR before a RUN', 'FROM a\nWORKDIR /workspace\nRUN x\n', 2],
  ['one in parts', 'FROM a\nWORKDIR /\nWORKDIR workspace\nWORKDIR ..\nRUN x\n', 3],
  ['a COPY below it', 'FROM a\nCOPY . /workspace/app/\nRUN x\n', 2],
  ['a relative ADD', 'FROM a\nADD a workspace/a\nRUN x\n', 2],
  ['what a stage inherits', 'FROM a AS one\nWORKDIR /workspace\nFROM one\nRUN x\n', 2],
  ['no RUN', 'FROM a\nWORKDIR /workspace\nCOPY . .\n', undefined],
  ['a RUN before it', 'FROM a\nRUN x\nWORKDIR /workspace\n', undefined],
  ['a RUN of another stage', 'FROM a AS one\nWORKDIR /workspace\nFROM b\nRUN x\n', undefined],
  ['a folder beside it', 'FROM a\nWORKDIR /workspaces\nCOPY . /workspace2/\nRUN x\n', undefined],
  ['what only the build can know', 'FROM a\nARG where=/workspace\nWORKDIR $where\nCOPY a b\nRUN x\n', undefined],
] as const) {
  test(`a context that can't be moved: ${title}`, () => {
    assert.equal(refusedLine(text), line);
  });
}

test("a context that can't be moved: the base's own working directory counts where something is copied into it", () => {
  assert.equal(refusedLine('FROM a\nCOPY a b\nRUN x\n', '/workspace'), 2);
  assert.equal(refusedLine('FROM a\nRUN x\n', '/workspace'), undefined);
});
