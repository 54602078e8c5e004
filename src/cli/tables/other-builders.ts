// Flags of docker build, buildah and podman that say what is so anyway, or what can't be said to a builder that lives in a container.
import type { FlagSpec } from '../flags.ts';
import { inert, unsupported, unsupportedFlags } from './flag.ts';

const ofContainer = 'a RUN has what the container has that it is built in';
const ofPod = `${ofContainer}: resources and securityContext of a pod, flags of docker run`;
const ofLimits =
  'limits are those of the build: resources of a pod, docker run --memory --cpus; elsewhere systemd-run --user --scope -p MemoryMax=512M -p CPUQuota=100% yadokari build …';
const inertRetry = 'each request has tries of its own';

export const otherFlags: readonly FlagSpec[] = [
  inert('text', 'isolation', 'a RUN is executed in the one way that works here'),
  inert('count', 'jobs', 'stages are built one after the other'),
  ...['rm', 'force-rm'].map((name) => inert('boolean', name, 'nothing of a RUN stays behind')),
  inert('boolean', 'compress', 'the context is read where it is'),
  inert('boolean', 'disable-content-trust', 'digests are always verified'),
  inert('boolean', 'disable-compression', 'layers are compressed once, for every place', { short: 'D' }),
  inert('boolean', 'http-proxy', '--build-arg http_proxy=… gives a RUN the variables of a proxy'),
  inert('boolean', 'identity-label', 'no such label is written'),
  inert('text', 'retry', inertRetry),
  inert('text', 'retry-delay', inertRetry),
  inert('text', 'runtime', ofContainer),
  inert('list', 'runtime-flag', ofContainer),
  inert('text', 'builder', 'there is one'),
  inert('list', 'allow', ofContainer),
  inert('list', 'security-opt', 'a RUN gets no profile of its own'),
  unsupported('boolean', 'sbom', 'no bill of materials is made; syft and trivy make one of an image'),
  unsupported('boolean', 'check', 'that is yadokari check'),
  unsupported('text', 'call', 'yadokari check checks, yadokari explain plans'),
  unsupported('list', 'no-cache-filter', '--no-cache executes every step anew'),
  unsupported('text', 'creds', 'a build asks several registries; yadokari login --authfile FILE, then --authfile FILE'),
  unsupported('text', 'cert-dir', '--registry-certificate HOST=FILE and --registry-client-cert HOST=CERT,KEY say it of one registry'),
  unsupported('text', 'from', '--build-context NAME=docker-image://IMAGE puts an image in place of the one that FROM names'),
  unsupported('boolean', 'all-platforms', '--platform names them'),
  unsupported('text', 'logfile', 'the log is standard error: 2>FILE'),
  unsupported('boolean', 'logsplit', 'the log is standard error: 2>FILE'),
  unsupported('boolean', 'stdin', 'a RUN has nothing to read; RUN --mount=type=bind shows it a file'),
  unsupported('list', 'volume', 'RUN --mount=type=bind,from=NAME with --build-context NAME=FOLDER shows a folder to a RUN'),
  unsupported('list', 'add-host', `names are those of the container: hostAliases of a pod, docker run --add-host`),
  ...unsupportedFlags('list', ['dns', 'dns-option', 'dns-search'], 'names are resolved as in the container: dnsConfig of a pod'),
  unsupported('boolean', 'debug', '--verbosity=debug tells more'),
  unsupported('list', 'policy', 'policies of BuildKit are none of ours; --signature-policy FILE says which images may be built on'),
  unsupported('list', 'ulimit', "a RUN has those of the shell that starts the build: ulimit; in a container, docker run --ulimit's"),
  ...unsupportedFlags('list', ['cap-add', 'cap-drop', 'device', 'hooks-dir'], ofPod),
  unsupported('text', 'memory', ofLimits, { short: 'm' }),
  ...unsupportedFlags('text', ['memory-swap', 'cpus', 'cpu-period', 'cpu-quota', 'cpu-shares', 'cpuset-cpus', 'cpuset-mems'], ofLimits),
  ...unsupportedFlags('text', ['shm-size', 'cgroup-parent'], ofPod),
  ...unsupportedFlags('text', ['userns', 'userns-uid-map', 'userns-gid-map', 'userns-uid-map-user', 'userns-gid-map-group'], ofPod),
  ...unsupportedFlags('text', ['ipc', 'pid', 'uts', 'cgroupns'], ofPod),
  ...unsupportedFlags('boolean', ['no-hosts', 'no-hostname'], ofPod),
  unsupported('list', 'sign-by', 'images are signed by a key of sigstore: --sign-by-sigstore-private-key'),
  unsupported('list', 'decryption-key', 'images are encrypted by tools of their own'),
];
