"""placeholder until the classifier is written"""
