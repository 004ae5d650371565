"""The collapse suite: does a setting find every mode of data whose modes are known?"""
