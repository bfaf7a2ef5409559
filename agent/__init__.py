"""The long-lived part: command line, daemon, runner, guard, verdict, ledger, dashboard."""
