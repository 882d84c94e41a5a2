// One authorization of a person, from the click to its end: Contentstack's own window opens, this page watches custody, and each
// step shows when the server's records do.
//   start -> waiting (window open, custody polled every second) -> revoked | revoke_refused | failed
import { useMutation, useQuery } from '@tanstack/react-query'
import { type ReactNode, useEffect, useRef } from 'react'
import type { Grant, NewGrant } from '../../../server/http/contract/custody.ts'
import { isApiError } from '../../api/http.ts'
import { Button, Notice, Problem, useFocused } from '../basics.tsx'
import { Icon } from '../icon.tsx'
import type { Tone } from '../state.tsx'
import { Moment } from '../time.tsx'
import { type Step, stepsOf } from './grant-steps.ts'
import { finishedGrant, useGrant, useRefresh, useStack } from './stack-view.tsx'

/** What was begun: `link` stands in for the window where the browser did not open it. */
export interface Started {
  grantId: string
  purpose: Grant['purpose']
  link: string | null
}

/** Opens the window within the click, or the browser takes it for an advertisement; where it is not allowed at all, a link stands in. */
export function useAuthorise() {
  const { api } = useStack()
  return useMutation({
    mutationFn: async (wanted: NewGrant): Promise<Started> => {
      const opened = window.open('', '_blank')
      try {
        const { grantId, url } = await api.startGrant(wanted)
        if (opened) {
          opened.opener = null
          opened.location.replace(url)
        }
        return { grantId, purpose: wanted.purpose, link: opened ? null : url }
      } catch (error) {
        opened?.close()
        throw error
      }
    }
  })
}

const titles: Record<Grant['purpose'], [underWay: string, done: string, failed: string]> = {
  mint: ['Connecting', 'Connected', 'The token was not connected'],
  rotate: ['Rotating the token', 'The token is rotated', 'The token was not rotated'],
  delete: ['Giving the token up', 'The token is given up', 'The token was not given up'],
  uninstall: ['Uninstalling', 'Uninstalled', 'Quayside was not uninstalled']
}

interface Props {
  started: Started
  /** The id of the token that has to go; null = none, or not to be seen. */
  formerId: string | null
  /** What is said when it went well, and what else there is to say then. */
  success: string
  after?: ReactNode
  onClose: () => void
  onAgain: () => void
}

export function GrantProgress({ started, formerId, success, after, onClose, onAgain }: Props) {
  const { id, api, installation, onToken } = useStack()
  const refresh = useRefresh()
  const { grant, custody, error } = useGrant(started.grantId)
  const status = grant?.status ?? 'started'
  const leaving = started.purpose === 'uninstall' && status !== 'failed'
  const standing = useQuery({
    queryKey: [id, 'installation'],
    queryFn: ({ signal }) => api.installation(signal),
    enabled: leaving,
    refetchInterval: ({ state }) => (state.data?.status === 'uninstalled' || state.error ? false : 1000)
  })
  // In the CMS the session ends with the installation, so this page learns of the end by being refused.
  const refused =
    leaving && grant !== null && [error, standing.error].some(each => isApiError(each, 'unauthorized') || isApiError(each, 'forbidden'))
  const ended = refused || installation.status === 'uninstalled' || (leaving && standing.data?.status === 'uninstalled')
  const finished = ended || finishedGrant(status)
  const told = useRef(false)

  useEffect(() => {
    if (!finished || told.current) return
    told.current = true
    // Whoever connected is proven an admin by the new token: who they are is asked again before what they may see.
    const came = status !== 'failed' && (started.purpose === 'mint' || started.purpose === 'rotate')
    void (came ? (onToken?.() ?? Promise.resolve()) : Promise.resolve()).then(refresh)
  }, [finished, status, started.purpose, onToken, refresh])

  const known = custody ? [custody.current, ...custody.history] : []
  const former = known.find(token => token?.id === formerId) ?? null
  const orphans = custody?.history.filter(token => token.status === 'orphaned').length ?? 0
  // What is left is tokens and, of an ended installation, its webhook.
  const webhookLeft = ended && (standing.data?.left.length ?? 0) > orphans
  const steps = stepsOf({ purpose: started.purpose, grant, former, ended, webhookLeft })
  const [underWay, done, failed] = titles[started.purpose]
  const heading = useFocused<HTMLHeadingElement>()
  return (
    <>
      <h3 ref={heading} tabIndex={-1}>
        {finished ? (status === 'failed' ? failed : done) : underWay}
      </h3>
      {started.link && status === 'started' ? (
        <Notice tone="wait" title="Your browser did not open the window.">
          <a href={started.link} target="_blank" rel="noopener noreferrer">
            Open Contentstack's consent page
          </a>
          <p className="meta">The address works once, for a minute.</p>
        </Notice>
      ) : null}
      <Steps steps={steps} />
      {status === 'failed' ? <Notice tone="bad" live title={grant?.error ?? 'The authorization did not come through.'} /> : null}
      {grant?.status === 'revoke_refused' ? <NotGivenBack grant={grant} /> : null}
      {finished && status !== 'failed' ? (
        <Notice tone="good" live title={success}>
          {after}
          {status === 'revoked' ? <p>Nothing of yours is kept: Contentstack confirms that the authorization is gone.</p> : null}
        </Notice>
      ) : null}
      {refused ? null : <Problem error={error} />}
      <div className="row">
        {status === 'failed' ? (
          <Button look="primary" onClick={onAgain}>
            Try again
          </Button>
        ) : null}
        <Button onClick={onClose}>{finished ? 'Close' : 'Stop watching'}</Button>
      </div>
    </>
  )
}

const drawn: Record<Step['state'], { tone: Tone; icon: 'checked' | 'turning' | 'none' | 'failing'; heard: string }> = {
  done: { tone: 'good', icon: 'checked', heard: ', done' },
  now: { tone: 'moving', icon: 'turning', heard: ', under way' },
  ahead: { tone: 'quiet', icon: 'none', heard: '' },
  left: { tone: 'wait', icon: 'failing', heard: ', left to do' }
}

function Steps({ steps }: { steps: Step[] }) {
  return (
    <ol className="steps" aria-live="polite">
      {steps.map(({ title, state, note }) => {
        const { tone, icon, heard } = drawn[state]
        return (
          <li key={title} className={`step tone-${tone}`}>
            <Icon name={icon} className={state === 'now' ? 'spin' : ''} />
            <span>
              {title}
              <span className="only-heard">{heard}</span>
              {note ? <span className="step-note">{note}</span> : null}
            </span>
          </li>
        )
      })}
    </ol>
  )
}

/** Until when somebody else's right of this person still stands, and who can end it now. */
export function NotGivenBack({ grant }: { grant: Grant }) {
  return (
    <Notice tone="wait" title="Contentstack did not let us give the authorization back.">
      <p>
        {grant.validUntil === null ? (
          'Quayside no longer holds it.'
        ) : (
          <>
            It is valid until <Moment at={grant.validUntil} />, and Quayside no longer holds it.
          </>
        )}{' '}
        Whoever gave it can end it at once in Contentstack: profile menu, Authorized Apps.
      </p>
    </Notice>
  )
}
