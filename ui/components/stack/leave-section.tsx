// The ways out: giving the token up, and uninstalling. Both need an Owner's or Admin's authorization first, since only that can delete
// a token at Contentstack; what was done shows step by step, and then what is left for a person to do by hand.
import { useState } from 'react'
import type { Grant } from '../../../server/http/contract/custody.ts'
import { Button, count, counted } from '../basics.tsx'
import { Confirm } from '../dialog.tsx'
import { GrantProgress, useAuthorise } from './authorise.tsx'
import { useConnections, useCustody, useKeys, useRefresh, useStack } from './stack-view.tsx'

type Way = Extract<Grant['purpose'], 'delete' | 'uninstall'>

/** Stays when the installation has ended, so that the last steps can be read to their end. */
export function LeaveSection() {
  const { installation, can, onToken } = useStack()
  const refresh = useRefresh()
  const custody = useCustody()
  const authorise = useAuthorise()
  const [asking, setAsking] = useState<Way | null>(null)
  const [formerId, setFormerId] = useState<string | null>(null)
  const current = custody.data?.current ?? null
  const name = installation.stackName || 'this stack'
  if (!can.custody || (installation.status === 'uninstalled' && !authorise.data)) return null

  return (
    <section className="section" aria-labelledby="leave-heading">
      <h2 id="leave-heading">Leave</h2>
      {authorise.data ? (
        <div className="panel">
          <div className="panel-body">
            <GrantProgress
              started={authorise.data}
              formerId={formerId}
              onClose={() => {
                authorise.reset()
                // With the token went the proof of who is an admin. Asked only now, so that the last steps could be read.
                if (authorise.data.purpose === 'delete') void onToken?.().then(refresh)
              }}
              onAgain={() => {
                setAsking(authorise.data.purpose as Way)
                authorise.reset()
              }}
              success={
                authorise.data.purpose === 'uninstall'
                  ? 'Quayside has left this stack.'
                  : 'Contentstack holds no token of ours for this stack any more.'
              }
              after={
                <p>
                  {authorise.data.purpose === 'uninstall'
                    ? 'One thing is left to do by hand: remove the app in Contentstack, under Settings, Installed Apps, Quayside.'
                    : 'Its work waits, and goes on when somebody connects the stack again.'}
                </p>
              }
            />
          </div>
        </div>
      ) : (
        <ul className="ways">
          {current ? (
            <li>
              <p className="muted">
                Give the token up: it is deleted at Contentstack. Syncs wait until another one comes; keys and set-up stay.
              </p>
              <Button onClick={() => setAsking('delete')}>Give the token up</Button>
            </li>
          ) : null}
          <li>
            <p className="muted">
              Uninstall: every sync and key of {name} ends, the token is deleted at Contentstack, and what Quayside holds sealed is erased.
            </p>
            <Button look="danger" onClick={() => setAsking('uninstall')}>
              Uninstall Quayside
            </Button>
          </li>
        </ul>
      )}
      {asking ? (
        <Confirm
          open
          onClose={() => setAsking(null)}
          title={asking === 'uninstall' ? `Uninstall Quayside from ${name}?` : `Give up the token of ${name}?`}
          action={asking === 'uninstall' ? 'Authorise and uninstall' : 'Authorise and give up'}
          instead={asking === 'uninstall' ? 'Keep Quayside' : 'Keep the token'}
          danger
          busy={authorise.isPending && 'Opening…'}
          error={authorise.error}
          onConfirm={() => {
            setFormerId(current?.id ?? null)
            authorise.mutate({ purpose: asking, expiresInDays: null, branches: [] }, { onSuccess: () => setAsking(null) })
          }}
        >
          {asking === 'uninstall' ? <WhatEnds token={current?.name ?? null} /> : <WhatWaits token={current?.name ?? null} />}
          <p>A window of Contentstack asks you to authorise it first: only an Owner or Admin of the stack may delete its tokens.</p>
        </Confirm>
      ) : null}
    </section>
  )
}

function WhatEnds({ token }: { token: string | null }) {
  const { installation } = useStack()
  const keys = useKeys()
  const connections = useConnections()
  const syncs = installation.syncs.active + installation.syncs.paused
  const active = (keys.data?.items ?? []).filter(({ status }) => status === 'active').length
  const sealed = (connections.data?.items ?? []).filter(({ secrets }) => secrets === 'kept' || secrets === 'exposed').length
  return (
    <>
      <ul className="plain-list">
        {syncs > 0 ? <li>{counted(syncs, 'sync ends', 'syncs end')}. What they carried stays in both systems.</li> : null}
        {active > 0 ? (
          <li>
            {keys.data?.next ? `At least ${count(active)} access keys end` : counted(active, 'access key ends', 'access keys end')} for
            good: scripts are refused from then on.
          </li>
        ) : null}
        {sealed > 0 ? <li>The secrets of {counted(sealed, 'connection')} are erased.</li> : null}
        {token ? <li>The token {token} is deleted at Contentstack, and proven dead.</li> : null}
      </ul>
      <p>
        After a reinstall the syncs and the links of their records can be taken over, without creating an entry twice. Access keys and
        secrets do not come back.
      </p>
    </>
  )
}

function WhatWaits({ token }: { token: string | null }) {
  const { installation } = useStack()
  return (
    <p>
      {token ?? 'The token'} is deleted at Contentstack and proven dead. {counted(installation.syncs.active, 'sync waits', 'syncs wait')}{' '}
      from then on, and access keys are refused; nothing is lost. Connecting the stack again lets everything go on.
    </p>
  )
}
