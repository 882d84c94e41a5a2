// The operator's mail server, as far as it can be tried without sending anything to anybody: connect, TLS, login.
import { createTransport } from 'nodemailer'
import type { Smtp } from '../../alerts/send.ts'
import { bad, codeOf, ok, type Probe } from './check.ts'

const remedies: Record<string, string> = {
  EAUTH: 'Correct user and password of "smtp" in QUAYSIDE_ALERTS_FILE.',
  ENOAUTH: 'Correct user and password of "smtp" in QUAYSIDE_ALERTS_FILE.',
  ETLS: 'Mend the certificate of the mail server, or correct "secure" and "requireTls" in QUAYSIDE_ALERTS_FILE.',
  EDNS: 'Correct "host" of "smtp" in QUAYSIDE_ALERTS_FILE.'
}

export function mailProbe({ host, port, secure, requireTls, user, password }: Smtp): Probe {
  const server = `${host}:${port}`
  return {
    name: 'mail server',
    lateRemedy: `${server} did not answer: check "smtp" in QUAYSIDE_ALERTS_FILE and the firewall.`,
    async run(signal) {
      const transport = createTransport({
        host,
        port,
        secure,
        requireTLS: requireTls,
        ...(user === undefined ? {} : { auth: { user, pass: password ?? '' } }),
        connectionTimeout: 5_000,
        greetingTimeout: 5_000,
        disableFileAccess: true,
        disableUrlAccess: true
      })
      signal.addEventListener('abort', () => transport.close())
      try {
        await transport.verify()
        return [ok('mail server', `${server} takes ${user === undefined ? 'our connection' : 'our login'}; nothing was sent`)]
      } catch (error) {
        const code = codeOf(error)
        const remedy = 'Check "smtp" in QUAYSIDE_ALERTS_FILE, and the firewall.'
        return [
          bad(
            'mail server',
            `${server} is not usable (${code ?? 'unknown'}), so nobody gets e-mail.`,
            (code !== null && remedies[code]) || remedy
          )
        ]
      } finally {
        transport.close()
      }
    }
  }
}
