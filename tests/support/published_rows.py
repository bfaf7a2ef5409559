"""The six rows of the published log, word for word."""

PUBLISHED = """\
ID,Date,Params,Config,Steps,val_loss,vs Unigram,Status,Notes
B1,03-24,1.3M,128d/4L Lion lr=3e-5,2000,6.17,-1.3%,Baseline,Plateau at unigram level
μ1,03-24,1.3M,128d/4L AdamW lr=3e-4,300,6.37,+1.9%,Micro,AdamW converges 3x faster
μ2,03-24,1.3M,128d/4L Lion lr=3e-5,300,6.56,+5.0%,Micro,Lion converges slower
E2,03-24,3.7M,192d/6L AdamW lr=6e-4,-,div,-,Failed,"lr too high, diverged"
E3,03-24,1.3M,128d/4L AdamW lr=3e-4 clip=5,400,~6.5,+4%,Killed,Still above unigram
μ3,03-24,1.3M,128d/4L 5-story overfit,~500,5.38,-13.9%,Micro,Below unigram. Architecture works.
"""
