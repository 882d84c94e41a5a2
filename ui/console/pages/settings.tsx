// What concerns an organization as a whole. So far one thing: deleting everything of it, for good. It says what goes, asks for the
// organization's exact name, because it cannot be undone, and ends with a receipt that the person takes along.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { ErasurePreview, Me } from '../../../server/http/contract/console.ts'
import { consoleApi } from '../../api/console.ts'
import { Button, counted, Id, Notice, Problem, Waiting } from '../../components/basics.tsx'
import { Modal } from '../../components/dialog.tsx'
import { Choice, fieldErrors, TextField } from '../../components/field.tsx'
import { PageHead } from '../frame.tsx'
import { useMe } from '../me.tsx'
import { keepReceipt, Receipt, useReceipt } from '../receipt.tsx'
import { erasedWords } from './erase.ts'

type Organization = Me['organizations'][number]

export function SettingsPage() {
  const me = useMe()
  const [erasing, setErasing] = useState<Organization | null>(null)
  const receipt = useReceipt()
  return (
    <>
      <PageHead title="Settings" />
      {receipt ? <Receipt receipt={receipt} /> : null}
      {me.organizations
        .filter(({ id }) => id !== receipt?.organization.id)
        .map(organization => (
          <section key={organization.id} className="section" aria-labelledby={`organization-${organization.id}`}>
            <h2 id={`organization-${organization.id}`}>{organization.name}</h2>
            <dl className="facts">
              <dt>Your role</dt>
              <dd>{organization.role}</dd>
              <dt>Organization</dt>
              <dd>
                <Id value={organization.id} />
              </dd>
            </dl>
            {organization.role === 'admin' ? (
              <ul className="ways">
                <li>
                  <p className="muted">
                    Delete everything of it here: installations, syncs, links, keys and secrets, and the people in its audit. For good, with
                    a receipt.
                  </p>
                  <Button look="danger" onClick={() => setErasing(organization)}>
                    Delete this organization's data
                  </Button>
                </li>
              </ul>
            ) : (
              <p className="muted">An admin of the organization can delete its data here.</p>
            )}
          </section>
        ))}
      {erasing ? <Erase organization={erasing} onClose={() => setErasing(null)} /> : null}
    </>
  )
}

function Erase({ organization, onClose }: { organization: Organization; onClose: () => void }) {
  const preview = useQuery({
    queryKey: ['console', 'erasure', organization.id],
    queryFn: ({ signal }) => consoleApi.erasurePreview(organization.id, signal)
  })
  return (
    <Modal open onClose={onClose} title={`Delete all data of ${organization.name}?`}>
      {preview.data ? (
        <Confirmed preview={preview.data} onClose={onClose} />
      ) : preview.error ? (
        <Problem error={preview.error} retry={() => void preview.refetch()} />
      ) : (
        <Waiting label="what would go" />
      )}
    </Modal>
  )
}

function Confirmed({ preview, onClose }: { preview: ErasurePreview; onClose: () => void }) {
  const { organization, rows, tokens, refusal, begun } = preview
  const client = useQueryClient()
  const alone = useMe().organizations.length === 1
  const [name, setName] = useState('')
  const [leaveTokens, setLeaveTokens] = useState(false)
  const erase = useMutation({
    mutationFn: () => consoleApi.erase(organization.id, { name, ...(leaveTokens ? { leaveTokens } : {}) }),
    onSuccess: receipt => {
      keepReceipt(receipt)
      onClose()
      // Who may still see what is another question now, beginning with whether this person is logged in.
      void client.invalidateQueries()
    }
  })
  const ready = name === organization.name && (refusal === null || leaveTokens)
  const words = erasedWords(rows)
  return (
    <form
      className="stack"
      onSubmit={event => {
        event.preventDefault()
        if (ready && !erase.isPending) erase.mutate()
      }}
    >
      {begun ? <Notice tone="wait" title="It was begun before, and is not done. It goes on from there." /> : null}
      <p>What goes: {words.length > 0 ? words.join(', ') : 'nothing is kept of it'}.</p>
      <p>
        Nothing is deleted in Contentstack or in the connected systems. That it was erased, and in which order things once happened, stays
        provable.{alone ? ' You are logged out by it.' : ''} It cannot be undone.
      </p>
      {refusal ? (
        <Notice
          tone="wait"
          title={
            tokens.length > 0
              ? `${counted(tokens.length, 'token is', 'tokens are')} in custody, and would stand in Contentstack with nobody to delete ${tokens.length === 1 ? 'it' : 'them'}.`
              : refusal.message
          }
        >
          <p>{tokens.length > 0 ? 'Uninstall Quayside from these stacks first: that deletes the tokens there.' : refusal.remedy}</p>
        </Notice>
      ) : null}
      {refusal && tokens.length > 0 ? (
        <Choice
          type="checkbox"
          label={`Leave ${counted(tokens.length, 'token')} standing in Contentstack: ${tokens.map(token => `${token.name} (${token.stackName})`).join(', ')}.`}
          hint="A person deletes them there."
          checked={leaveTokens}
          onValue={setLeaveTokens}
        />
      ) : null}
      <TextField
        label={`Type ${organization.name} to go on`}
        value={name}
        onValue={setName}
        required
        autoComplete="off"
        spellCheck={false}
        errors={fieldErrors(erase.error, 'name')}
      />
      <Problem error={erase.error} />
      <div className="row">
        <Button look="danger" type="submit" disabled={!ready} busy={erase.isPending && 'Deleting…'}>
          Delete for good
        </Button>
        <Button onClick={onClose}>Keep everything</Button>
      </div>
    </form>
  )
}
