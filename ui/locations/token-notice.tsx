// What an editor must know of the token: that work waits, or soon will, and who can mend it. No button: an editor has none to press,
// and an admin finds it on the app's configuration page.
import { useQuery } from '@tanstack/react-query'
import type { Installation } from '../../server/http/contract/stack.ts'
import { Notice } from '../components/basics.tsx'
import { concernsEditors, expiryWords } from '../components/stack/token-words.ts'
import { Day, Moment, useNow } from '../components/time.tsx'
import { useHost } from '../host/host-provider.tsx'

/** The installation as it stands now; the session's own is only as new as the session. */
export function useInstallation({ enabled = true, everyMs = 10_000 } = {}) {
  const { api, session } = useHost()
  return useQuery({
    queryKey: [session.installation.id, 'installation'],
    queryFn: ({ signal }) => api.stack.installation(signal),
    initialData: session.installation,
    refetchInterval: everyMs,
    enabled
  })
}

export function TokenNotice({ installation: { token, hold, stackName } }: { installation: Installation }) {
  const now = useNow()
  if (token === null || !concernsEditors(token, now)) return null
  const stack = stackName || 'this stack'
  if (token.status === 'dead') {
    return (
      <Notice
        tone="wait"
        title={
          <>
            Contentstack refused the token of {stack}
            {hold ? (
              <>
                {' '}
                <Moment at={hold.since} />
              </>
            ) : null}
            , so its syncs wait.
          </>
        }
      >
        <p>
          Nothing is lost: what you save is carried over as soon as an Owner or Admin of the stack replaces the token, under Settings,
          Installed Apps, Quayside.
        </p>
      </Notice>
    )
  }
  return (
    <Notice
      tone="wait"
      title={
        <>
          The token of {stack} {expiryWords(token.expiresAt ?? 0, now)}, on <Day at={token.expiresAt ?? 0} />.
        </>
      }
    >
      <p>
        Then syncs wait; nothing is lost. An Owner or Admin of the stack can rotate it before, under Settings, Installed Apps, Quayside.
      </p>
    </Notice>
  )
}
