import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ContainerFacts, type Surroundings, findContainerSign, insideContainer } from '../../../src/sandbox/detect.ts';

const inImage: ContainerFacts = { mainPath: '/kaniko/app/main.js', isSandboxed: false, isForced: false, sign: '/.dockerenv' };

const verdicts: readonly {
  readonly name: string;
  readonly facts: Partial<ContainerFacts>;
  readonly isInside: boolean;
  readonly says: RegExp;
}[] = [
  { name: "the builder's image in a container", facts: {}, isInside: true, says: /own image in a container \(\/\.dockerenv\)/ },
  { name: 'the sandbox', facts: { isSandboxed: true, sign: undefined }, isInside: true, says: /the root is the sandbox/ },
  { name: 'a runtime that leaves no sign, with --force', facts: { sign: undefined, isForced: true }, isInside: true, says: /--force/ },
  { name: 'a runtime that leaves no sign', facts: { sign: undefined }, isInside: false, says: /nothing here looks like a container/ },
  {
    name: "a container of somebody else's image",
    facts: { mainPath: '/src/app/main.ts' },
    isInside: false,
    says: /not from its own image/,
  },
  {
    name: "somebody else's image with --force, which would be wiped",
    facts: { mainPath: '/src/app/main.ts', isForced: true },
    isInside: false,
    says: /\/src\/app\/main\.ts/,
  },
  {
    name: 'a host where somebody set the variable of the sandbox',
    facts: { mainPath: '/home/me/yadokari/src/main.ts', isSandboxed: true, sign: undefined },
    isInside: false,
    says: /not from its own image/,
  },
  { name: 'a folder whose name begins alike', facts: { mainPath: '/kaniko/application/main.js' }, isInside: false, says: /not from/ },
];
for (const { name, facts, isInside, says } of verdicts) {
  test(`insideContainer() ${isInside ? 'accepts' : 'refuses'} ${name}`, () => {
    const verdict = insideContainer({ ...inImage, ...facts });
    assert.equal(verdict.isInside, isInside);
    assert.match(verdict.reason, says);
  });
}

const signs: readonly {
  readonly name: string;
  readonly paths?: readonly string[];
  readonly texts?: Readonly<Record<string, string>>;
  readonly variable?: string;
  readonly sign: string | undefined;
}[] = [
  { name: 'podman and CRI-O', paths: ['/run/.containerenv', '/.dockerenv'], sign: '/run/.containerenv' },
  { name: 'docker', paths: ['/.dockerenv'], sign: '/.dockerenv' },
  { name: 'a pod', paths: ['/var/run/secrets/kubernetes.io/serviceaccount'], sign: '/var/run/secrets/kubernetes.io/serviceaccount' },
  { name: 'containerd', texts: { '/proc/self/cgroup': '0::/kubepods/burstable/pod1/abc\n' }, sign: '"kubepods" in /proc/self/cgroup' },
  { name: 'OpenVZ', paths: ['/proc/vz'], sign: '/proc/vz' },
  { name: 'no OpenVZ guest but its host', paths: ['/proc/vz', '/proc/bc'], sign: undefined },
  { name: 'gVisor', paths: ['/__runsc_containers__'], sign: '/__runsc_containers__' },
  { name: 'the variable "container"', variable: 'oci', sign: 'container=oci' },
  { name: 'systemd', texts: { '/run/systemd/container': 'lxc\n' }, sign: '"lxc" in /run/systemd/container' },
  {
    name: 'an overlay as root',
    texts: { '/proc/mounts': 'proc /proc proc rw 0 0\noverlay / overlay rw 0 0\n' },
    sign: 'an overlay as root',
  },
  {
    name: 'a plain host',
    texts: { '/proc/self/cgroup': '0::/user.slice\n', '/proc/mounts': '/dev/sda1 / ext4 rw 0 0\noverlay /mnt/x overlay rw 0 0\n' },
    sign: undefined,
  },
  { name: 'WSL, which is a machine', texts: { '/proc/version': 'Linux version 6 microsoft-standard-WSL2' }, sign: undefined },
];
for (const { name, paths = [], texts = {}, variable, sign } of signs) {
  test(`findContainerSign() knows ${name}`, () => {
    const around: Surroundings = { exists: (path) => paths.includes(path), text: (path) => texts[path] ?? '', containerVariable: variable };
    assert.equal(findContainerSign(around), sign);
  });
}
