import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Command } from "@/components/ui/message";
import { sessionQuery, useMay } from "../session/session";
import { Alerts } from "./Alerts";
import { Password } from "./Password";
import { Secrets } from "./Secrets";
import { Tokens } from "./Tokens";
import { Users } from "./Users";

/** Who may use this server, and what it keeps secret. */
export default function SettingsPage() {
  const { data: session } = useQuery(sessionQuery());
  const admin = useMay("admin");
  if (session === undefined) return null;
  return (
    <div className="mx-auto flex w-full max-w-4xl flex-col gap-8 p-4">
      <h1 className="text-lg font-semibold">Settings</h1>
      {!session.demanded && (
        <p className="text-dim">
          This server is for this machine alone and asks nobody who they are. With <Command>modelyard up --auth</Command>, or
          on any other address, users have to log in.
        </p>
      )}
      {admin && (
        <Section title="Users">
          <Users me={session.name ?? ""} />
        </Section>
      )}
      {session.demanded && (
        <>
          <Section title="Tokens">
            <Tokens permissions={session.permissions} />
          </Section>
          <Section title="Your password">
            <Password />
          </Section>
        </>
      )}
      {admin && (
        <>
          <Section title="Alerts">
            <Alerts />
          </Section>
          <Section title="Secrets">
            <Secrets />
          </Section>
        </>
      )}
    </div>
  );
}

function Section({ title, children }: { readonly title: string; readonly children: ReactNode }) {
  return (
    <section aria-label={title} className="flex flex-col gap-3">
      <h2 className="font-medium">{title}</h2>
      {children}
    </section>
  );
}
