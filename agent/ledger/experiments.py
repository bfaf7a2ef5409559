"""The experiment table as one question, which the view `experiments` asks, too.

Released with the migration that makes the view: its text is never edited.
"""

# The published table, and with it the view, has exactly these columns.
EXPERIMENT_COLUMNS = (
    "ID", "Date", "Params", "Config", "Steps", "val_loss", "vs Unigram", "Status", "Notes")

EXPERIMENTS = """\
SELECT
    COALESCE(json_extract(cells, '$.ID'), label) AS ID,
    COALESCE(json_extract(cells, '$.Date'),
        substr(COALESCE(started_at, created_at), 6, 5)) AS Date,
    COALESCE(json_extract(cells, '$.Params'), CASE
        WHEN n_params >= 999950 THEN printf('%.1fM', n_params / 1e6)
        ELSE printf('%.1fk', n_params / 1e3) END) AS Params,
    COALESCE(json_extract(cells, '$.Config'), config_text) AS Config,
    COALESCE(json_extract(cells, '$.Steps'), CAST(steps AS TEXT), '-') AS Steps,
    COALESCE(json_extract(cells, '$.val_loss'), CASE
        WHEN state = 'diverged' THEN 'div'
        WHEN val_loss IS NULL THEN '-'
        ELSE printf('%.2f', val_loss) END) AS val_loss,
    COALESCE(json_extract(cells, '$."vs Unigram"'), CASE
        WHEN state = 'diverged' OR vs_unigram IS NULL THEN '-'
        -- adding zero makes a rounded -0.0 print as +0.0
        ELSE printf('%+.1f%%', round(100 * vs_unigram, 1) + 0.0) END) AS "vs Unigram",
    COALESCE(json_extract(cells, '$.Status'),
        (SELECT upper(substr(verdict, 1, 1)) || substr(verdict, 2)
         FROM decisions WHERE run_id = runs.id ORDER BY decisions.id DESC LIMIT 1),
        upper(substr(state, 1, 1)) || substr(state, 2)) AS Status,
    COALESCE(json_extract(cells, '$.Notes'), notes, reason, '') AS Notes
FROM runs
ORDER BY source = 'measured', runs.id"""
