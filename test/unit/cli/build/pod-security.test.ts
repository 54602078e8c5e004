import assert from 'node:assert/strict';
import { test } from 'node:test';
import { capabilityHint, type Powers, readPowers, refuseUnfitPod } from '../../../../src/cli/build/pod-security.ts';
import { BuilderError, CommandError } from '../../../../src/errors.ts';

const all: Powers = { userId: 0, isRootReadOnly: false, missing: [] };

const refused: readonly { readonly powers: Powers; readonly message: RegExp; readonly line: RegExp }[] = [
  { powers: { ...all, userId: 1000 }, message: /^Cannot build as user 1000: /, line: /securityContext\.runAsUser: 0/ },
  {
    powers: { ...all, isRootReadOnly: true },
    message: /^Cannot build: the root file system is read-only/,
    line: /securityContext\.readOnlyRootFilesystem: false/,
  },
];
for (const { powers, message, line } of refused) {
  test(`refuseUnfitPod() names the line of the manifest: ${String(line)}`, () => {
    assert.throws(
      () => refuseUnfitPod(powers),
      (error: unknown) => error instanceof BuilderError && message.test(error.message) && line.test(error.hint ?? ''),
    );
  });
}

test('refuseUnfitPod() takes root with whatever capabilities: an image may need none', () => {
  refuseUnfitPod({ ...all, missing: ['CHOWN'] });
});

test('capabilityHint() speaks of what the system refused, and only where a capability is missing', () => {
  const cause = Object.assign(new Error('EPERM: operation not permitted, lchown'), { code: 'EPERM' });
  const error = new BuilderError('ERR_ROOTFS', 'Cannot unpack "etc/gshadow": EPERM', { cause });
  const powers = { ...all, missing: ['CHOWN', 'FOWNER'] };
  assert.match(capabilityHint(error, powers) ?? '', /securityContext\.capabilities\.add: \[CHOWN, FOWNER\]/);
  assert.match(capabilityHint(new CommandError('RUN x failed', { argv: ['x'], exitCode: 1 }), powers) ?? '', /was refused something/);
  assert.equal(capabilityHint(error, all), undefined);
  assert.equal(capabilityHint(new BuilderError('ERR_REGISTRY', 'no'), powers), undefined);
});

test('readPowers() tells of this very process', () => {
  const { userId, missing } = readPowers();
  assert.equal(userId, process.geteuid?.());
  if (userId !== 0) assert.ok(missing.includes('CHOWN'));
});
