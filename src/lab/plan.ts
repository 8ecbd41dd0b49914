/** The lab's addresses and the shell lines that build it: plain text, so that they can be read and tested without root. */

export const hostAddress = '10.10.101.105'
export const gatewayAddress = '10.10.101.254'
export const internetAddress = '180.76.3.151'
export const hostAddress6 = 'fd00:10::105'
export const gatewayAddress6 = 'fd00:10::254'
export const internetAddress6 = '2001:db8:180::151'
/** The one name that the internet's DNS server knows. */
export const internetName = 'www.example.test'

/** What /etc/resolv.conf says on the lab's host. */
export const resolvConf = `nameserver ${gatewayAddress}\noptions timeout:2 attempts:1\n`

/** Files in the lab's directory. */
export const files = {
  hostNet: 'host.net',
  hostMounts: 'host.mnt',
  internetNet: 'internet.net',
  resolvConf: 'resolv.conf',
  server: 'server.pid',
  log: 'server.log',
  oldSys: 'sys',
} as const

/** A word of a shell line. */
export const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

/**
 * Namespaces can be bound to files only below a mount that is private: the lab's directory is mounted on itself.
 */
export function directoryScript(directory: string): string {
  const path = quoted(directory)
  return `mount --bind ${path} ${path} && mount --make-private ${path}`
}

/**
 * Runs in the host's new namespaces. /sys shows the network it was mounted in, so it is mounted anew (brctl reads it)
 * and the control groups are put back. Everything is then shared within and slave to the machine outside: what a daemon
 * mounts is seen by all who enter the lab and by nobody else, and goes when the lab goes.
 */
export function hostScript(directory: string, ipv6: boolean): string {
  const at = (name: string): string => quoted(`${directory}/${name}`)
  return [
    'set -e',
    `mkdir -p ${at(files.oldSys)}`,
    `mount --rbind /sys ${at(files.oldSys)}`,
    'mount -t sysfs sysfs /sys',
    `if [ -d /sys/fs/cgroup ]; then mount --rbind ${at(`${files.oldSys}/fs/cgroup`)} /sys/fs/cgroup; fi`,
    `umount -l ${at(files.oldSys)}`,
    `mount --bind ${at(files.resolvConf)} /etc/resolv.conf`,
    'mount --make-rshared /',
    'sysctl -qw net.ipv4.ip_forward=0',
    'ip link set lo up',
    `ip link add eth0 type veth peer name eth0 netns ${at(files.internetNet)}`,
    `ip address add ${hostAddress}/24 dev eth0`,
    ...(ipv6 ? [`ip address add ${hostAddress6}/64 dev eth0 nodad`] : []),
    'ip link set eth0 up',
    `ip route add default via ${gatewayAddress}`,
    ...(ipv6 ? [`ip -6 route add default via ${gatewayAddress6}`] : []),
  ].join('\n')
}

/** Runs in the internet's namespace before the host's end is there. No default route: what is not NATed gets no answer. */
export function internetScript(ipv6: boolean): string {
  return [
    'set -e',
    'ip link set lo up',
    `ip address add ${internetAddress}/32 dev lo`,
    ...(ipv6 ? [`ip address add ${internetAddress6}/128 dev lo nodad`] : []),
  ].join('\n')
}

/** Runs in the internet's namespace once the veth joins it to the host. */
export function gatewayScript(ipv6: boolean): string {
  return [
    'set -e',
    `ip address add ${gatewayAddress}/24 dev eth0`,
    ...(ipv6 ? [`ip address add ${gatewayAddress6}/64 dev eth0 nodad`] : []),
    'ip link set eth0 up',
  ].join('\n')
}

/** Addresses of the internet's DNS server. */
export function nameServers(ipv6: boolean): readonly string[] {
  return [gatewayAddress, internetAddress, ...(ipv6 ? [gatewayAddress6, internetAddress6] : [])]
}
